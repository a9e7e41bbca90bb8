"""Training with a stock: the same model as online, on zeros to spare too; one that a party lacks is used by neither."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from common.errors import DataError, PeerProtocolError, PolicyError
from common.home.outcome import Outcome
from common.home.stock import StockFile, StockLabel, dealing
from common.home.stocks import MOST, Stocks, predealt
from common.learn.dealings import dealings
from common.learn.learner import Size
from common.learn.linear.deal import KEPT_BYTES
from common.learn.linear.design import Prepared
from common.learn.linear.learner import LinearTask, LinearTrained
from common.learn.linear.steps import make_work, step_size
from common.learn.linear.train import TrainingInputs, train
from common.mpc.beside import side_by_side
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import WEIGHT_SCALE, X_SCALE, decode, encode
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from common.stages.ahead import SCORES, TRAINING, Spare, choose, confirm_stock, scores_ahead, train_ahead
from common.stages.predeal import predeal
from tests.common.mpc.problems import RIDGE_SCALE, Problem, make_problem
from tests.common.stages.companies import Companies, Recorder, frames
from tests.peers import KEYS, DealerEnd, Trio, coordinate, seed_of

PROBLEM = make_problem(2100, 3, 4)
EXACT = PredealPlan.model_validate(
    {"model": {"iterations": 8, "reveal": "owners"}, "rows": 2100, "grid_columns": 3, "bank_columns": 4}
)
SPARE = EXACT.model_copy(update={"rows": 2600, "grid_columns": 5, "bank_columns": 6})
MODEL = EXACT.model
AHEAD = predealt(EXACT)
CLOSED = MODEL.model_copy(update={"reveal": "none"})
HALF = MODEL.model_copy(update={"dealer": "half"})


def shelf(folder: Path, party: Party) -> Stocks:
    """As the daemon opens it."""
    home = folder / party.value
    found = Stocks(home / "stock", home / "spent.sqlite", "wattscore://neutral/coordinator", 64)
    found.tidy()
    return found


def names(folder: Path) -> dict[str, list[str]]:
    return {party.value: [label.name for label in shelf(folder, party).unspent()] for party in Party}


async def deal(folder: Path, plan: PredealPlan, job: str = "predeal-1", seed: int | None = None) -> dict[Party, Outcome]:
    """A predealing job at both parties and the dealer; raises the first error, after all have ended."""
    trio = Trio(plan.allowed, seed=seed)
    ends = {party: DealerEnd(trio.from_dealer[party]) for party in Party}

    async def side(party: Party) -> Outcome:
        dealer, stocks = ends[party], shelf(folder, party)
        outcome = await predeal(
            job, plan, trio.session[party], dealer, await seed_of(party, dealer), stocks, Recorder(), KEYS[party]
        )
        await ends[party].asked.put(None)
        return outcome

    serving = trio.dealer.serve({party: ends[party].demands() for party in Party}, dealings(plan, KEPT_BYTES))
    sides = side_by_side(map(side, Party))
    (grid, bank), _ = await side_by_side(cast(list[Awaitable[Any]], [sides, serving]))
    return {Party.GRID: grid, Party.BANK: bank}


def inputs(problem: Problem, party: Party, model: Model = MODEL) -> TrainingInputs:
    x, pull = problem.x[party], step_size(model) * problem.ridge[party]
    label = problem.y if party is Party.BANK else None
    words = np.asfortranarray(encode(x, X_SCALE)), np.asfortranarray(encode(pull, RIDGE_SCALE))
    return TrainingInputs(model, *words, problem.columns[party.other], np.full(x.shape[1], 0.125), label)


def part_of(party: Party, model: Model) -> LinearTask:
    """A party's part, of rows that were prepared somehow."""
    own, names = inputs(PROBLEM, party, model), tuple(f"x{k}" for k in range(PROBLEM.columns[party]))
    prepared = Prepared(cast(Any, None), cast(Any, None), party, names, np.eye(len(names)))
    return LinearTask(prepared, own, own.other_columns, [])


async def online(seed: int | None = None, model: Model = MODEL) -> dict[Party, Any]:
    def side(session: Session, correlations: DealtCorrelations) -> Any:
        return train(session, correlations, inputs(PROBLEM, session.party, model))

    return await coordinate(Trio(seed=seed), side, partial(make_work, model))


async def ahead(folder: Path, trio: Trio | None = None, model: Model = MODEL) -> dict[Party, Any]:
    """Both parties' weights; raises the first error, after both have ended."""
    trio, mine = trio or Trio(), {p: part_of(p, model) for p in Party}
    found = await side_by_side(
        train_ahead(trio.session[p], shelf(folder, p), KEYS[p], model, t.size, asyncio.sleep(0, t)) for p, t in mine.items()
    )
    return {p: cast(LinearTrained, trained).weights for p, trained in zip(Party, found, strict=True)}


async def test_a_stock_is_chosen_by_one_exchange_and_spent_before_anything_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deal(tmp_path, EXACT)
    trio, use, sent = Trio(), Stocks.use, list[dict[Kind, int]]()

    def uses(self: Stocks, stock: StockFile) -> None:
        sent.append(dict(trio.session[Party.GRID if "grid" in str(self._folder) else Party.BANK].traffic.sent))
        use(self, stock)

    monkeypatch.setattr(Stocks, "use", uses)
    await ahead(tmp_path, trio)
    told = [16 * (MOST + 2), 16 * (MOST + 3)]  # the bank names one
    assert sorted(sent, key=lambda before: before[Kind.STOCK]) == [{Kind.STOCK: size} for size in told]
    assert [trio.session[party].traffic.sent[Kind.STOCK] for party in Party] == [size + 16 for size in told]  # that it is spent


async def test_with_the_same_seeds_the_weights_are_those_of_training_online(tmp_path: Path) -> None:
    outcomes = await deal(tmp_path, EXACT, seed=7)
    for party, outcome in outcomes.items():
        columns = {Party.GRID: 3, Party.BANK: 4}[party]
        assert outcome.counts == {"train_rows": 2100, "trained_columns": columns, "iterations": 8}
        assert outcome.opened == ["counts"] and outcome.seconds.keys() == {"predeal"}
    found, expected = await ahead(tmp_path), await online(seed=7)
    for party in Party:
        np.testing.assert_array_equal(found[party], expected[party])


async def test_rows_and_columns_to_spare_change_the_rounding_only(tmp_path: Path) -> None:
    await deal(tmp_path, SPARE)
    found, expected = await ahead(tmp_path), await online()
    for party in Party:
        np.testing.assert_allclose(found[party], expected[party], rtol=0, atol=2.1 * 2.0**-MODEL.weight_bits)


async def test_a_closed_model_trains_with_a_stock_that_has_to_spare(tmp_path: Path) -> None:
    await deal(tmp_path, SPARE.model_copy(update={"model": CLOSED}))
    found, expected = await ahead(tmp_path, model=CLOSED), await online(model=CLOSED)
    for party in Party:
        assert (len(found[party].own), len(found[party].other)) == (PROBLEM.columns[party], PROBLEM.columns[party.other])
        one, two = (decode(by[party].own + by[party.other].other, WEIGHT_SCALE) for by in (found, expected))
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-3)


async def test_what_half_a_dealer_deals_is_taken_from_a_stock_that_serves_no_other_training(tmp_path: Path) -> None:
    """Link and truncations of shares that lack nothing: under a whole dealer's masks they would make another model."""
    await deal(tmp_path, SPARE.model_copy(update={"model": HALF}))
    with pytest.raises(PolicyError):
        await ahead(tmp_path)
    found, expected = await ahead(tmp_path, model=HALF), await online()
    for party in Party:
        np.testing.assert_allclose(found[party], expected[party], rtol=0, atol=2.1 * 2.0**-MODEL.weight_bits)
    whole, half = (EXACT.model_copy(update={"model": m.model_copy(update={"period": 32, "terms": 8})}) for m in (MODEL, HALF))
    one, other = predealt(whole), predealt(half)
    assert all(set(one.arrays(party)) == set(other.arrays(party)) for party in Party) and dealing(one) != dealing(other)


def make_old(folder: Path) -> None:
    """As if all stocks had been dealt two hours ago."""
    for file in folder.glob("*/stock/*.stock"):
        os.utime(file, (time.time() - 7200.0,) * 2)


async def test_a_stock_serves_one_training(tmp_path: Path) -> None:
    await deal(tmp_path, EXACT)
    await ahead(tmp_path)
    assert names(tmp_path) == {"grid": [], "bank": []}
    with pytest.raises(PolicyError, match=r"no stock that both parties hold fits 2100 rows x \(3 \+ 4\)") as caught:
        await ahead(tmp_path)
    assert "wattscore predeal PLAN --rows 2100 --grid 3 --bank 4" in caught.value.remedy


async def test_the_smallest_that_fits_is_used_and_the_other_kept(tmp_path: Path) -> None:
    for job, plan in (("predeal-1", SPARE), ("predeal-2", EXACT)):
        await deal(tmp_path, plan, job)
    await ahead(tmp_path)
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": ["predeal-1"]}


@pytest.mark.parametrize("spent_at", list(Party))
async def test_a_stock_that_one_has_spent_is_discarded_at_both(tmp_path: Path, spent_at: Party) -> None:
    for job in ("predeal-1", "predeal-2"):
        await deal(tmp_path, EXACT, job)
    make_old(tmp_path)
    other = spent_at.other
    back_up = tmp_path / "back-up"
    shutil.copytree(tmp_path / other.value / "stock", back_up)
    used = shelf(tmp_path, spent_at)
    used.spend(used.unspent()[0]).close()
    await ahead(tmp_path)
    assert names(tmp_path) == {"grid": [], "bank": []}
    shutil.copytree(back_up, tmp_path / other.value / "stock", dirs_exist_ok=True)  # the discarded one is spent as well
    assert names(tmp_path) == {"grid": [], "bank": []}


@pytest.mark.parametrize("first", list(Party))
async def test_a_stock_that_one_has_had_for_a_moment_longer_is_kept_and_not_used(tmp_path: Path, first: Party) -> None:
    for job in ("predeal-1", "predeal-2"):
        await deal(tmp_path, EXACT, job)
    (late,) = (tmp_path / first.other.value / "stock").glob("predeal-2*")
    coming = late.rename(tmp_path / late.name)  # its rename comes after the lists
    await ahead(tmp_path)
    assert names(tmp_path) == {first.value: ["predeal-2"], first.other.value: []}
    coming.rename(late)
    await ahead(tmp_path)
    assert names(tmp_path) == {"grid": [], "bank": []}


async def test_a_party_restored_with_its_book_is_stopped_by_the_other(tmp_path: Path) -> None:
    await deal(tmp_path, EXACT)
    make_old(tmp_path)
    shutil.copytree(tmp_path / "grid", tmp_path / "back-up")
    await ahead(tmp_path)
    shutil.rmtree(tmp_path / "grid")
    shutil.copytree(tmp_path / "back-up", tmp_path / "grid")
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": []}
    trio = Trio()
    with pytest.raises(PolicyError, match="there is none"):
        await ahead(tmp_path, trio)
    assert Kind.MASKED_MATRIX not in trio.session[Party.GRID].traffic.sent
    assert names(tmp_path) == {"grid": [], "bank": []}


async def test_a_party_that_dies_after_spending_takes_the_stock_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two parties' spending: the other may have spent it or not, and neither uses it later."""
    await deal(tmp_path, EXACT)
    make_old(tmp_path)
    use = Stocks.use

    def dies(self: Stocks, stock: StockFile) -> None:
        use(self, stock)
        raise ConnectionError("killed")

    monkeypatch.setattr(Stocks, "use", dies)
    with pytest.raises(ConnectionError):
        await ahead(tmp_path)
    monkeypatch.undo()
    with pytest.raises(PolicyError):
        await ahead(tmp_path)
    assert names(tmp_path) == {"grid": [], "bank": []}


async def test_of_a_predealing_in_which_one_fails_neither_has_a_stock_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.home.stock.StockWriter.finish", full)
    with pytest.raises(DataError, match="No space left") as caught:
        await deal(tmp_path, EXACT)
    assert caught.value.public == "the stock could not be written (No space left on device)"
    assert names(tmp_path) == {"grid": [], "bank": []}
    assert not list(tmp_path.glob("*/stock/*"))


async def test_parties_that_are_at_different_stocks_stop() -> None:
    trio = Trio()
    label = StockLabel("predeal-1", "d", dealing(AHEAD), 10, 2, 3)
    other = StockLabel("predeal-1", "d", dealing(AHEAD), 10, 3, 2)
    found = await asyncio.gather(
        *(confirm_stock(trio.session[p], own) for p, own in zip(Party, (label, other), strict=True)), return_exceptions=True
    )
    assert [type(error) for error in found] == [PeerProtocolError] * 2


def test_what_fits_has_all_that_is_needed_and_not_much_more() -> None:
    size, deals = Size(1000, 10, 4), dealing(AHEAD)

    def fits(rows: int, grid: int, bank: int, kind: str = deals, spare: Spare = TRAINING) -> bool:
        return choose([StockLabel("s", "d", kind, rows, grid, bank)], deals, size, spare) is not None

    assert fits(1000, 10, 4) and fits(1250, 20, 8)
    for other in ((999, 10, 4), (1251, 10, 4), (1000, 9, 4), (1000, 21, 4), (1000, 10, 3), (1000, 10, 9)):
        assert not fits(*other), other
    assert not fits(1000, 10, 4, "another")
    assert fits(1000, 10, 4, spare=SCORES) and fits(4000, 10, 4, spare=SCORES)
    for other in ((999, 10, 4), (4001, 10, 4), (1000, 11, 4), (1000, 10, 5)):
        assert not fits(*other, spare=SCORES), other


async def test_a_whole_job_trains_with_a_stock_and_its_months_are_dealt_online(tmp_path: Path) -> None:
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(seed=3, monthly=True))
    model = {"iterations": 8}
    plan = companies.plan(model=model, dealt="ahead")
    with pytest.raises(PolicyError, match=r"fits 1050 rows x \(5 \+ 3\)"):
        await companies.run("job-0", plan)
    sizes = {"rows": 1100, "grid_columns": 6, "bank_columns": 4}
    await deal(tmp_path, PredealPlan.model_validate({"model": model, **sizes}))
    outcomes = await companies.run("job-1", plan)
    dealt = {party: [label.kind for label, _ in companies.trio.to_party[party].log] for party in Party}
    scored = [Kind.DEALT_TAGS, Kind.DEALT_TRUNCATION]  # of held-out rows
    assert dealt == {Party.GRID: [Kind.SEED, *scored], Party.BANK: [Kind.SEED, Kind.DEALT_PERIODS, *scored]}
    assert outcomes[Party.GRID].counts["trained_columns"] == 5 and outcomes[Party.BANK].counts["train_rows"] == 1050
    result = outcomes[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc > result.bank_only.auc + 0.08


async def test_steps_are_counted_as_a_stock_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows just below where steps run over parts, with a stock just above: these are taken, and told."""
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", 1080)
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 1)
    companies, model = Companies(tmp_path, monthly=True), {"iterations": 12}
    companies.write(frames(seed=3, monthly=True))
    sizes = {"rows": 1100, "grid_columns": 6, "bank_columns": 4}
    dealt = await deal(tmp_path, PredealPlan.model_validate({"model": model, **sizes}))
    found = await companies.run("job-1", companies.plan(model=model, dealt="ahead"))
    online = await companies.run("job-2", companies.plan(model=model))
    for party in Party:
        assert found[party].counts["iterations"] == dealt[party].counts["iterations"] == 11
        assert online[party].counts["iterations"] == 12
    one, two = (outcomes[Party.BANK].evaluation for outcomes in (found, online))
    assert one is not None and two is not None and abs(one.joint.auc - two.joint.auc) < 0.01


def scored(companies: Companies, job: str) -> pd.DataFrame:
    return pd.read_csv(companies.home(Party.BANK) / "scores" / f"{job}.csv", dtype={"id": str}).set_index("id")


async def test_a_scoring_job_takes_its_randomness_from_a_stock_once(tmp_path: Path) -> None:
    companies = Companies(tmp_path)
    companies.write(frames(seed=3, monthly=False))
    await companies.run("job-1", companies.plan())
    asked = companies.plan(kind="score", model="job-1", dealt="ahead")
    with pytest.raises(PolicyError, match=r"fits 500 rows x \(5 \+ 3\) columns: there is none"):
        await companies.run("job-2", asked)
    sizes = {"serves": "scores", "rows": 700, "grid_columns": 5, "bank_columns": 3}
    outcomes = await deal(tmp_path, PredealPlan.model_validate(sizes))
    assert outcomes[Party.GRID].counts == {"own_rows": 700, "trained_columns": 5}
    await companies.run("job-3", asked)
    assert [label.kind for party in Party for label, _ in companies.trio.to_party[party].log] == [Kind.SEED] * 2
    await companies.run("job-4", companies.plan(kind="score", model="job-1"))
    apart = scored(companies, "job-3")["u"] - scored(companies, "job-4")["u"]
    assert len(apart) == 500 and apart.abs().max() <= 2.0**-5  # the same score, rounded by chance up or down
    assert names(tmp_path) == {"grid": [], "bank": []}
    with pytest.raises(PolicyError, match="there is none"):
        await companies.run("job-5", asked)


async def test_rows_that_may_not_be_scored_use_up_no_stock(tmp_path: Path) -> None:
    companies = Companies(tmp_path)
    companies.write(frames(seed=3, monthly=False))
    for job, seed in (("job-1", 1), ("job-2", 2)):  # each holds out, and so scores, rows of its own
        await companies.run(job, companies.plan(split={"seed": seed}))
    await deal(tmp_path, PredealPlan.model_validate({"serves": "scores", "rows": 500, "grid_columns": 5, "bank_columns": 3}))
    asked = companies.plan(kind="score", model="job-1", dealt="ahead")
    companies.own = {Party.GRID: {"scores_per_row": 1}}
    with pytest.raises(PolicyError, match="scored by 1"):
        await companies.run("job-3", asked)
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": ["predeal-1"]}
    companies.own = {}
    await companies.run("job-4", asked)
    assert names(tmp_path) == {"grid": [], "bank": []}


TREES = SimpleNamespace(learner="trees", job="job-7", shape=SimpleNamespace(trees=12, depth=2))
NETWORK = SimpleNamespace(
    learner="network", job="job-8", party=Party.GRID, columns=("a", "b"), weights=SimpleNamespace(other=[0]), units=3,
    activation="sine",
)  # fmt: skip


@pytest.mark.parametrize(
    ("half", "needed", "remedy"),
    [
        (TREES, "500 rows x its trees (12 of depth 2)", "wattscore predeal --scores --rows 500 --like job-7"),
        (NETWORK, "500 rows x (2 + 1) columns", "wattscore predeal --scores --rows 500 --grid 2 --bank 1"),
    ],
)
async def test_who_has_no_stock_for_scores_hears_what_deals_one(half: Any, needed: str, remedy: str, tmp_path: Path) -> None:
    trio = Trio()
    shelves = {party: Stocks(tmp_path / party.value, tmp_path / f"{party.value}.sqlite", "dealer", 64) for party in Party}

    async def asked(party: Party) -> str:
        with pytest.raises(PolicyError) as caught:
            async with scores_ahead(trio.session[party], shelves[party], bytes(32), half, 500, 5):
                raise AssertionError
        return str(caught.value)

    for said in await asyncio.gather(*map(asked, Party)):
        assert needed in said and remedy in said
