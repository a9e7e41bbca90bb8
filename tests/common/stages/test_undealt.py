"""Whole trainings with nobody who deals, between two companies on disk; and what the coordinator does of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.disclosure import Opened
from common.disk.data_folder import Name
from common.errors import PlanError
from common.home.outcome import Outcome
from common.match.ecdh import match_ids
from common.mpc.session import Kind
from common.party import Party
from common.plan.linear import Model
from common.plan.score import ScorePlan
from common.stages.estimate import Sizes, estimate
from tests.common.stages.companies import POLICY, Companies, frames

SCORE: dict[str, Any] = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "model": "train-1"}
OPENED = Model(reveal="owners")
NONE: dict[str, Any] = {"dealer": "none", "link": "taylor", "reveal": "owners", "iterations": 24}


@pytest.mark.parametrize("monthly", [False, True], ids=["by id", "by month"])
async def test_a_training_asks_nobody_and_ranks_as_a_dealers(tmp_path: Path, monthly: bool) -> None:
    companies = Companies(tmp_path, monthly=monthly, policy=POLICY.model_copy(update={"no_dealer": True}))
    companies.match = lambda _: match_ids
    companies.write(frames(seed=3, monthly=monthly))
    plan = companies.plan(model=NONE, matching="ecdh")
    found = await companies.run("job-1", plan)
    assert dealt(companies) == {Kind.SEED}  # which the test's dealer sends unasked
    sizes = Sizes(1500 if monthly else 500, 5, 3, 560, 540, 3 if monthly else 0)
    expected, sent = estimate(plan, sizes).bytes, {p: sum(v.nbytes for _, v in companies.trio.peer[p].log) for p in Party}
    assert {p: expected[f"{p.value}_to_{p.other.value}"] for p in Party} == {p: pytest.approx(sent[p], rel=0.01) for p in Party}
    assert not any(count for line, count in expected.items() if "coordinator" in line)
    companies.match = None
    other = await companies.run("job-2", companies.plan(model={"link": "taylor", "reveal": "owners"}))
    assert found[Party.BANK].counts["matched_rows"] == other[Party.BANK].counts["matched_rows"] == (1500 if monthly else 500)
    assert abs(auc(found) - auc(other)) < 0.01
    assert {Opened(name) for party in Party for name in found[party].opened} <= plan.needs


async def test_its_model_scores_with_nobody_who_deals_and_one_that_nobody_holds_does_not(tmp_path: Path) -> None:
    companies = Companies(tmp_path, monthly=True, policy=POLICY.model_copy(update={"no_dealer": True}))
    companies.match = lambda _: match_ids
    companies.own = {Party.GRID: {"scores_per_row": 100, "reasons_per_row": 1}}
    companies.write(frames(seed=3, monthly=True))
    await companies.run("job-1", companies.plan(model=NONE, matching="ecdh"))
    how: dict[str, Any] = {"kind": "score", "dealer": "none", "matching": "ecdh", "months": ["2024-03"]}
    plan = companies.plan(model="job-1", **how)
    found = await companies.run("job-2", plan)
    assert dealt(companies) == {Kind.SEED} and found[Party.BANK].counts["matched_rows"] == 500
    lines = (companies.home(Party.BANK) / Name.SCORES / "job-2.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 501
    expected, sent = estimate(plan, Sizes(500, 5, 3, 560, 540, 1), OPENED).bytes, companies.trio.peer
    assert expected["grid_to_bank"] == pytest.approx(sum(v.nbytes for _, v in sent[Party.GRID].log), rel=0.01)

    companies.match = None
    await companies.run("job-3", companies.plan())
    with pytest.raises(PlanError, match="nobody holds model job-3"):
        await companies.run("job-4", companies.plan(model="job-3", **how))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"matching": "neutral"}, "set matching = 'ecdh'"),
        ({"dealt": "ahead"}, "nothing is dealt"),
    ],
    ids=str,
)
def test_what_scoring_without_a_dealer_is_not_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ScorePlan.model_validate({**SCORE, "dealer": "none", "matching": "ecdh", **fields})


def test_scoring_plans_with_a_dealer_are_the_bytes_they_were() -> None:
    assert "dealer" not in ScorePlan.model_validate(SCORE).canonical()
    assert '"dealer":"none"' in ScorePlan.model_validate({**SCORE, "dealer": "none", "matching": "ecdh"}).canonical()


def dealt(companies: Companies) -> set[Kind]:
    return {label.kind for p in Party for label, _ in companies.trio.to_party[p].log}


def auc(found: dict[Party, Outcome]) -> float:
    evaluation = found[Party.BANK].evaluation
    assert evaluation is not None
    return evaluation.joint.auc
