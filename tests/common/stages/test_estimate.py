"""What a job is said to cost, against what the sessions, the dealer and the matching of real jobs sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.errors import PeerProtocolError, PlanError
from common.home.stocks import predealt
from common.learn import dealings, learners
from common.party import Party
from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.process.settings import CoordinatorSettings
from common.stages import estimate as stage
from common.stages.estimate import Estimate, Sizes, estimate
from tests.channels import MemoryChannel
from tests.common.learn.means import ROW, Means, MeansLearner, MeansPlan
from tests.common.stages.companies import COMMON, MONTHS, Companies, frames
from tests.peers import Trio

STARTED = {"grid_to_bank": 65, "bank_to_grid": 65}  # fingerprints of seeds, which the daemon exchanges before the job


def sent(trio: Trio) -> dict[str, int]:
    """Payload bytes of a job that has run, on each line."""

    def total(channel: MemoryChannel) -> int:
        return sum(values.nbytes for _, values in channel.log)

    found = {f"{party.value}_to_{party.other.value}": total(trio.peer[party]) for party in Party}
    for party in Party:
        found[f"coordinator_to_{party.value}"] = total(trio.to_party[party]) + total(trio.neutral.at_neutral[party])
        found[f"{party.value}_to_coordinator"] = total(trio.neutral.at_party[party])
    return {line: count + STARTED.get(line, 0) for line, count in found.items()}


def sizes(monthly: bool = False) -> Sizes:
    rows = COMMON * (MONTHS if monthly else 1)
    return Sizes(rows, 5, 3, 560, 540, MONTHS if monthly else 0)


def agree(found: Estimate, at: Companies) -> None:
    assert found.bytes == {line: pytest.approx(count, rel=0.01) for line, count in sent(at.trio).items()}


def told(at: Companies) -> float:
    """Bits that the bank's book of labels has been charged, in all."""
    return charged(at)["label_bits"]


def charged(at: Companies) -> dict[str, float]:
    """Bits of each of the bank's budgets."""
    return {book.key: sum(charge.amount for charge in book.charges) for book in at.opened_home(Party.BANK).standings()}


def companies(folder: Path, monthly: bool = False) -> Companies:
    made = Companies(folder, monthly)
    made.write(frames(seed=1, monthly=monthly))
    return made


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"model": {"reveal": "owners"}},
        {"model": {"link": "taylor", "optimiser": "sgd", "batch": 200, "epochs": 3}},
    ],
    ids=["closed", "opened", "sgd"],
)
@pytest.mark.parametrize("monthly", [False, True])
async def test_a_training_and_a_scoring_cost_what_was_estimated(tmp_path: Path, monthly: bool, more: dict[str, Any]) -> None:
    at = companies(tmp_path, monthly)
    at.own = {Party.GRID: {"scores_per_row": 100}, Party.BANK: {"label_bits": 10.0, "metric_bits": 10.0}}
    plan = at.plan(**more)
    assert isinstance(plan, TrainPlan)
    await at.run("job-1", plan)
    found = estimate(plan, sizes(monthly))
    agree(found, at)
    assert found.scores + found.trained == sizes(monthly).rows
    assert charged(at) == pytest.approx({"label_bits": found.label_bits, "metric_bits": found.metric_bits})
    asked = at.plan(kind="score", model="job-1")
    assert isinstance(asked, ScorePlan)
    await at.run("job-2", asked)
    agree(estimate(asked, sizes(monthly), plan.model), at)


async def test_rounds_are_those_of_the_job_but_for_the_two_of_its_start(tmp_path: Path) -> None:
    at = companies(tmp_path)
    plan = at.plan()
    assert isinstance(plan, TrainPlan) and isinstance(plan.model, Model)
    await at.run("job-1", plan)
    beside = plan.model.iterations  # arrays that leave with others: weights for the ridge, with the first of u
    assert estimate(plan, sizes()).rounds == pytest.approx(at.trio.session[Party.GRID].traffic.rounds - beside + 2, abs=2)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"kind": "network", "hidden": 4, "epochs": 3, "batch": 0},
        {"kind": "network", "hidden": 4, "epochs": 3, "batch": 0, "activation": "relu"},
        {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4},
    ],
    ids=["linear", "sine", "relu", "trees"],
)
async def test_reasons_from_shares_cost_what_was_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]
) -> None:
    monkeypatch.setattr(stage, "_TEXTS", 2)
    at = companies(tmp_path)
    at.policy = at.policy.model_copy(update={"reasons_per_row": 2})
    spoken = {name: {"kind": "numeric", "reason": f"High {name}"} for name in ("peak", "late")}
    at.columns = {Party.GRID: {"kwh": {"kind": "numeric"}, **spoken, "branch": {"kind": "categorical"}}}
    plan = at.plan(model=model)
    assert isinstance(plan, TrainPlan)
    await at.run("job-1", plan)
    asked = at.plan(kind="score", model="job-1", grid_reasons=2)
    assert isinstance(asked, ScorePlan)
    await at.run("job-2", asked)
    found, seen = estimate(asked, sizes(), plan.model), sent(at.trio)
    if plan.model.kind != "trees":  # whose levels are taken to be either side's in halves
        agree(found, at)
    for party in Party:
        assert found.bytes[f"coordinator_to_{party.value}"] == pytest.approx(seen[f"coordinator_to_{party.value}"], rel=0.01)
    one_way = 3  # scores, texts, codes; two more are of its start
    assert found.rounds == pytest.approx(at.trio.session[Party.GRID].traffic.rounds + one_way + 2, abs=2)
    without = estimate(asked.model_copy(update={"grid_reasons": 0}), sizes(), plan.model)
    assert without.rounds < found.rounds and without.seconds <= found.seconds


async def test_an_estimate_of_bins_is_a_bound_when_columns_have_fewer(tmp_path: Path) -> None:
    at = companies(tmp_path)
    at.own = {Party.BANK: {"label_bits": 10.0, "metric_bits": 10.0}}
    plan = at.plan(preparation={"coding": "woe", "bins": 4, "min_binary": 20, "min_bin_rows": 20, "min_bin_class": 2})
    await at.run("job-1", plan)
    found = estimate(plan, Sizes(COMMON, 4, 3, 560, 540))
    for line, count in sent(at.trio).items():
        assert count <= 1.01 * found.bytes[line]
    assert told(at) <= found.label_bits
    assert found.bytes["grid_to_bank"] < 1.6 * sent(at.trio)["grid_to_bank"]


@pytest.mark.parametrize("learner", ["linear", "means"])
async def test_any_learner_is_asked_what_it_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learner: str) -> None:
    monkeypatch.setattr(learners, "TABLE", {**learners.TABLE, Means: MeansLearner()})
    monkeypatch.setattr(dealings, "TABLE", (*dealings.TABLE, ROW))
    at = companies(tmp_path)
    plan: TrainPlan | ScorePlan = at.plan()
    trained = {}
    if learner == "means":
        plan, trained = MeansPlan.model_validate(plan.model_dump(exclude={"model", "kind"})), {"section": Means()}
    await at.run("job-1", plan)
    agree(estimate(plan, sizes()), at)
    asked = at.plan(kind="score", model="job-1")
    await at.run("job-2", asked)
    agree(estimate(asked, sizes(), **trained), at)


def test_what_is_dealt_ahead_is_what_dealing_online_is() -> None:
    plan = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}})
    online, ahead = (estimate(plan.model_copy(update={"dealt": d}), Sizes(10_000, 12, 5)) for d in ("online", "ahead"))
    dealt = estimate(PredealPlan(rows=7000, grid_columns=12, bank_columns=5), Sizes(1, 1, 1))
    for line in ("coordinator_to_grid", "coordinator_to_bank"):
        assert dealt.bytes[line] + ahead.bytes[line] == online.bytes[line] + 96  # each job's seed
    for line, more in (("grid_to_bank", 1072), ("bank_to_grid", 1088)):
        assert ahead.bytes[line] == online.bytes[line] + more
    assert (dealt.scores, online.scores, ahead.trained) == (0, 3000, 7000)


@pytest.mark.parametrize("serves", ["training", "scores"])
def test_of_a_stock_that_no_coordinator_deals_by_default_that_is_said(serves: str) -> None:
    """What the dealer itself refuses, `dealings` does at the same number."""
    most = CoordinatorSettings.model_fields["max_rows"].default
    for rows, refused in ((most, False), (most + 1, True)):
        raw = {"serves": serves, "rows": rows, "grid_columns": 2, "bank_columns": 2, "model": {"iterations": 10}}
        plan = PredealPlan.model_validate(raw)
        assert ("at most 100000000 rows unless its operator sets max_rows" in estimate(plan, Sizes(1, 1, 1)).refused) == refused
        deal = dealings.dealings(plan, 1 << 20, most)[type(predealt(plan).demand)]
        nobody: Any = None  # who has no seeds here: what is dealt at all begins with them
        with pytest.raises(PeerProtocolError if refused else TypeError):
            next(deal(nobody, predealt(plan).demand))


def test_a_plan_that_would_hold_out_no_row_tells_no_metrics() -> None:
    plan = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}})
    found = estimate(plan, Sizes(1, 1, 2))
    assert (found.held, found.metric_bits) == (0, 0.0)


def test_a_thin_line_takes_what_its_rate_and_delay_say() -> None:
    plan = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}})
    found = estimate(plan, Sizes(10_000, 12, 5))
    assert found.over(1e6, 0.0) == found.seconds + 8 * max(found.bytes.values()) / 1e6
    assert found.over(1e12, 0.5) == pytest.approx(found.seconds + found.rounds * 0.5, abs=0.01)


def test_a_challenge_scores_held_out_rows_twice_and_late_months_are_held_out() -> None:
    raw: dict[str, Any] = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "keys": ["id", "period"]}
    plan = TrainPlan.model_validate({**raw, "challenge": True, "split": {"by": "time", "months": 2}})
    assert estimate(plan, Sizes(12_000, 12, 5, months=12)).scores == 2 * 2000


def test_seconds_of_trees_lie_in_rows_and_messages_not_in_the_thresholds_that_a_tree_does_not_look_at() -> None:
    def seconds(columns: int = 100, **section: Any) -> float:
        model = {"kind": "trees", **section}
        plan = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "model": model})
        return estimate(plan, Sizes(30_000, columns, columns)).seconds

    usual = seconds()
    assert seconds(200) < 1.3 * usual
    assert 1.6 * usual < seconds(trees=160) < 2.0 * usual
    assert seconds(depth=4) > 1.2 * usual
    assert seconds(abreast=1) > 1.2 * usual > 1.2 * 1.2 * seconds(abreast=4)


def test_a_plan_that_moves_nothing_has_no_price() -> None:
    with pytest.raises(PlanError, match="costs a few messages"):
        estimate(PromotePlan(model="job-1"), Sizes(1, 1, 1))
