"""Whole scoring jobs: decided rows from the model's stored rules, reasons of the grid as plan and policies allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.decision import bundle
from bank_party.decision.config import DecisionConfig
from common.disclosure import Opened
from common.errors import JobNotFound, PolicyError
from common.mpc.session import Kind
from common.party import Party
from common.plan.predeal import PredealPlan
from common.stages.offer import check_offer
from tests.common.stages.companies import POLICY, Companies, frames
from tests.common.stages.test_ahead import deal

NUMERIC: dict[str, Any] = {"kind": "numeric", "transform": "auto"}
GRID = {
    "kwh": NUMERIC,
    "peak": {**NUMERIC, "reason": "High peak use"},
    "late": {**NUMERIC, "reason": "Late payments"},
    "branch": {"kind": "categorical"},
}


@pytest.fixture
async def companies(tmp_path: Path) -> Companies:
    """With a trained model job-1."""
    made = Companies(tmp_path, columns={Party.GRID: GRID}, policy=POLICY.model_copy(update={"reasons_per_row": 2}))
    made.decision = DecisionConfig(min_grade_rows=10, reasons=1, segments=("debt",))
    made.write(frames(seed=1, monthly=False))
    await made.run("job-1", made.plan(model={"reveal": "owners"}))  # reasons need weights that their owner holds
    return made


def folder(companies: Companies, party: Party = Party.BANK) -> Path:
    return companies.models(party).folder("job-1")


async def test_the_bank_keeps_held_out_rows_and_the_grid_does_not(companies: Companies) -> None:
    held = bundle.load("job-1", folder(companies))
    assert len(held.ids) == 150 and held.validation.sum() == 60
    halves = {"arrays.npz", "model.json", "record.json", "reference.json"}
    assert {file.name for file in folder(companies).iterdir()} == halves | {
        "decision.json",
        "evaluation.json",
        "heldout.parquet",
    }
    assert {file.name for file in folder(companies, Party.GRID).iterdir()} == halves
    assert list(held.segments) == ["debt"] and held.decision.config == companies.decision


async def test_scoring_decides_by_the_stored_rules(companies: Companies) -> None:
    outcomes = await companies.run("score-1", companies.plan(kind="score", model="job-1", grid_reasons=2))
    found = pd.read_csv(companies.home(Party.BANK) / "scores" / "score-1.csv", keep_default_na=False)
    assert list(found) == ["id", "u", "probability", "score", "grade", "decision", "reasons"]
    rules = bundle.load_decision("job-1", folder(companies))
    np.testing.assert_array_equal(found["probability"], rules.calibration.probability(found["u"].to_numpy()))
    assert set(found["grade"]) <= {g.grade for g in rules.grades} and found["score"].corr(found["u"]) < -0.99
    texts = found["reasons"].str.split("; ").explode()
    assert {"", "income", "debt", "High peak use", "Late payments"} >= set(texts) >= {"debt", "High peak use", "Late payments"}
    assert found.loc[found["reasons"].str.contains("Late payments"), "u"].mean() > found["u"].mean() + 0.5
    assert all(Opened.GRID_REASONS.value in outcome.opened for outcome in outcomes.values())


async def test_without_grid_reasons_none_are_opened(companies: Companies) -> None:
    outcomes = await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    assert all(Opened.GRID_REASONS.value not in outcome.opened for outcome in outcomes.values())
    found = (companies.home(Party.BANK) / "scores" / "score-1.csv").read_text()
    assert "Late payments" not in found and "debt" in found


async def test_a_model_that_nobody_holds_gives_the_same_reasons_and_tells_the_grid_nothing(companies: Companies) -> None:
    await companies.run("score-1", companies.plan(kind="score", model="job-1", grid_reasons=2))
    await companies.run("job-2", companies.plan())
    assert companies.models(Party.GRID).load("job-2").closed
    outcomes = await companies.run("score-2", companies.plan(kind="score", model="job-2", grid_reasons=2))
    files = (companies.home(Party.BANK) / "scores" / f"score-{k}.csv" for k in (1, 2))
    opened, closed = (pd.read_csv(file, keep_default_na=False).set_index("id").sort_index() for file in files)
    texts = ("High peak use", "Late payments")
    for text in texts:
        said = opened["reasons"].str.contains(text)
        assert 0.05 < said.mean() < 0.95 and (said == closed["reasons"].str.contains(text)).mean() > 0.98
    both = [found["reasons"].map(lambda said: [t for t in said.split("; ") if t in texts]) for found in (opened, closed)]
    assert (both[0] == both[1]).mean() > 0.97
    assert all(Opened.GRID_REASONS.value in outcome.opened for outcome in outcomes.values())
    sent = companies.trio.session[Party.BANK].traffic.sent
    assert {Kind.MASKED_DIGITS, Kind.MASKED_SIGNS, Kind.MASKED_RANKS} <= set(sent) and Kind.GRID_REASONS not in sent


async def test_a_closed_models_reasons_are_dealt_where_its_scores_were_ahead(companies: Companies) -> None:
    await companies.run("job-2", companies.plan())
    grid, bank = (len(companies.models(party).load("job-2").columns) for party in Party)
    await deal(companies.folder, PredealPlan(serves="scores", rows=1000, grid_columns=grid, bank_columns=bank))
    asked = companies.plan(kind="score", model="job-2", grid_reasons=1, dealt="ahead")
    await companies.run("score-1", asked)
    assert "Late payments" in (companies.home(Party.BANK) / "scores" / "score-1.csv").read_text()


async def test_texts_are_those_declared_today(companies: Companies) -> None:
    companies.columns = {Party.GRID: {**GRID, "late": NUMERIC, "peak": {**NUMERIC, "reason": "Peaks"}}}
    await companies.run("score-1", companies.plan(kind="score", model="job-1", grid_reasons=1))
    found = (companies.home(Party.BANK) / "scores" / "score-1.csv").read_text()
    assert "Peaks" in found and "High peak use" not in found and "Late payments" not in found


async def test_a_grid_without_texts_tells_nothing_and_is_warned(companies: Companies) -> None:
    companies.columns = {Party.GRID: {name: {**column, "reason": None} for name, column in GRID.items()}}
    outcomes = await companies.run("score-1", companies.plan(kind="score", model="job-1", grid_reasons=1))
    assert outcomes[Party.GRID].warnings == [
        "the plan asks for reasons, and no column of this dataset declares one: none are told"
    ]
    found = (companies.home(Party.BANK) / "scores" / "score-1.csv").read_text()
    assert "Late payments" not in found


async def test_parquet_and_todays_cut_offs(companies: Companies) -> None:
    companies.decision = DecisionConfig(output="parquet", cutoff="score", approve=480, decline=480)
    await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    found = pd.read_parquet(companies.home(Party.BANK) / "scores" / "score-1.parquet")
    assert (found["decision"] == np.where(found["score"] >= 480, "approve", "decline")).all()
    assert companies.opened_home(Party.BANK).knows("score-1")
    companies.decision = DecisionConfig()
    assert companies.opened_home(Party.BANK).knows("score-1")


async def test_a_model_without_rules_scores_nothing(companies: Companies) -> None:
    (folder(companies) / "decision.json").unlink()
    with pytest.raises(JobNotFound, match="no decision rules of job job-1"):
        await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    assert Kind.SCORES not in companies.trio.session[Party.GRID].traffic.sent


@pytest.mark.parametrize("party", Party)
def test_either_policy_refuses_reasons(tmp_path: Path, party: Party) -> None:
    companies = Companies(tmp_path)
    plan = companies.plan(kind="score", model="job-1", grid_reasons=1)
    with pytest.raises(PolicyError, match=r"grid_reasons = 1 \(at most 0\)"):
        check_offer(plan, party, {"rows": companies.dataset(party)}, POLICY)
