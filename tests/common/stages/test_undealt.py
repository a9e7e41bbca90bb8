"""Whole trainings with nobody who deals, between two companies on disk; and what the coordinator does of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.disclosure import Opened
from common.home.outcome import Outcome
from common.match.ecdh import match_ids
from common.mpc.session import Kind
from common.party import Party
from common.stages.estimate import Sizes, estimate
from tests.common.stages.companies import POLICY, Companies, frames

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


def dealt(companies: Companies) -> set[Kind]:
    return {label.kind for p in Party for label, _ in companies.trio.to_party[p].log}


def auc(found: dict[Party, Outcome]) -> float:
    evaluation = found[Party.BANK].evaluation
    assert evaluation is not None
    return evaluation.joint.auc
