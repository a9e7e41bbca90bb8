"""A back-test: trainings of one plan as of several months, told in the report of the last, and in none before it."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_party.decision import bundle
from bank_party.report.backtest import find_origins
from bank_party.report.page import make_report
from common.client.backtest import origins
from common.errors import DataError, PlanError
from common.party import Party
from common.plan.read import make_plan
from common.plan.train import TrainPlan
from common.report.evidence import gather
from common.stats.measures import auc, sigmoid
from tests.common.stages.companies import COMMON, Companies, frames

SPLIT = {"by": "time", "months": 1}


def plan(companies: Companies, **fields: Any) -> dict[str, Any]:
    return companies.plan(split=SPLIT, model={"iterations": 2}, **fields)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank's folder after trainings as of January and February, and one of another split between them."""
    folder = tmp_path_factory.mktemp("backtest")
    companies = Companies(folder, monthly=True)
    companies.write(frames(5, monthly=True))

    async def all_() -> None:
        outcomes = await companies.run("train-1", plan(companies, until="2024-02", name="january"))
        assert {outcomes[party].counts["matched_rows"] for party in Party} == {2 * COMMON}
        await companies.run("train-2", companies.plan(split={"by": "enterprise"}, model={"iterations": 2}))
        await companies.run("train-3", plan(companies, name="february"))

    asyncio.run(all_())
    return companies.home(Party.BANK)


def test_origins_are_measured_on_the_months_after_them(bank: Path) -> None:
    evidence, held = gather(bank, "train-3", bundle.RULES), bundle.load("train-3", bank / "models" / "train-3")
    first, last = find_origins(bank, evidence, held)
    assert (first.job, first.as_of, first.first, first.last) == ("train-1", 2024 * 12, 2024 * 12 + 1, 2024 * 12 + 1)
    assert (last.job, last.as_of, last.train_rows, last.rows) == ("train-3", 2024 * 12 + 1, 2 * COMMON, COMMON)
    assert last.joint == auc(held.label, held.u_joint) and last.expected == sigmoid(held.u_joint).mean()
    assert last.joint_band is not None and last.joint_band.low < (last.joint or 0) < last.joint_band.high
    assert last.observed == held.label.mean() and last.band is not None and last.band[0] < last.observed < last.band[1]
    assert find_origins(bank, replace(evidence, model=first_model(bank), record=gather(bank, "train-1").record), held) == ()
    few = replace(held, label=np.where(np.arange(len(held.label)) < 4, 1.0, 0.0))
    hidden = find_origins(bank, evidence, few)[-1]
    assert hidden.joint is None and hidden.gain_band is None and hidden.observed is None and hidden.off is None


def first_model(bank: Path) -> Any:
    return gather(bank, "train-1").model


def test_the_report_of_the_last_shows_them_and_that_of_an_earlier_or_another_training_does_not(bank: Path) -> None:
    report = make_report(bank, "train-3", "zh")
    assert 'id="backtest"' in report.page and "train-1" in report.page and "train-2" not in report.page
    assert {"origins", "origin_rates"} <= {finding["check"] for finding in report.about["findings"]}
    table = next(table for table in report.tables if table.name == "backtest-1")
    assert [row[0] for row in table.rows] == ["2024-01", "2024-02"]
    for other in ("train-1", "train-2"):
        assert find_origins(bank, gather(bank, other), bundle.load(other, bank / "models" / other)) == ()


def test_a_damaged_earlier_training_does_not_stand_in_the_way(bank: Path, tmp_path: Path) -> None:
    shutil.copytree(bank, tmp_path / "bank")
    file = tmp_path / "bank" / "models" / "train-1" / "model.json"
    file.write_text(json.dumps({"about": {}}))
    held = bundle.load("train-3", bank / "models" / "train-3")
    assert find_origins(tmp_path / "bank", gather(bank, "train-3"), held) == ()


async def test_a_month_that_a_party_does_not_have_is_refused(tmp_path: Path) -> None:
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(5, monthly=True))
    with pytest.raises(DataError, match=r"no row of the month 2025-01"):
        await companies.run("train-1", plan(companies, until="2025-01"))


def test_plans_of_a_back_test_are_those_of_the_months_counted_back() -> None:
    sides = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}
    made = make_plan({**sides, "keys": ["id", "period"], "name": "x" * 100, "split": {"by": "time", "months": 3}}, "test")
    assert isinstance(made, TrainPlan) and "until" not in made.canonical()
    plans = origins(made, "2025-02", 3, None)
    assert [one.until for one in plans] == ["2024-08", "2024-11", "2025-02"]
    assert plans[0].name.endswith("[until 2024-08]") and '"until":"2024-08"' in plans[0].canonical()
    assert [one.until for one in origins(made, "2025-02", 2, 1)] == ["2025-01", "2025-02"]
    with pytest.raises(PlanError, match="holds out the last months"):
        origins(make_plan({**sides, "keys": ["id", "period"]}, "test"), "2025-02", 2, None)  # type: ignore[arg-type]
    for wrong in ({"until": "2025"}, {"until": "2025-01", "keys": ["id"]}):
        with pytest.raises(PlanError, match="until"):
            make_plan({**sides, "keys": ["id", "period"], **wrong}, "test")
