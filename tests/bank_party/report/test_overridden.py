"""Overrides in the report: of its own model, up to the last month decided when it was written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bank_party.monitor.overrides import OverridesConfig
from bank_party.report.findings import of_overrides
from bank_party.report.overridden import Overridden, find_overridden
from bank_party.report.page import make_report
from common.monitor.book import Book
from common.party import Party
from common.report.verify import compare_again, compare_files, read_report, verify_here
from common.report.write import write_report
from tests.bank_party.monitor.test_overrides import finals, scores
from tests.common.report.conftest import JOB, Job


@pytest.fixture
def bank(job: Job, tmp_path: Path) -> Path:
    """The bank's folder with two months of scores by the reported model."""
    data, file = shutil.copytree(job.data(Party.BANK), tmp_path / "bank"), "score-9.csv"
    (data / "scores").mkdir(exist_ok=True)
    scores().drop(columns=["month", "model"]).to_csv(data / "scores" / file, index=False)
    Book(data / "monitor.sqlite").enter_scores("score-9", JOB, data / "scores" / file)
    return data


def decided(folder: Path, of: pd.DataFrame) -> OverridesConfig:
    of.to_csv(folder / "final.csv", index=False)
    return OverridesConfig(path=folder / "final.csv", id="id", period="period", decision="final")


def test_the_report_counts_decisions_against_its_model_and_stays_the_same_when_later_ones_come(
    bank: Path, tmp_path: Path
) -> None:
    first = finals(70, 60).assign(period="2026-01")
    config = decided(tmp_path, first)
    report = make_report(bank, JOB, "both", None, config)
    assert "Decisions against the model" in report.page and "人工改判" in report.page
    (table,) = [table for table in report.tables if table.name.startswith("overrides")]
    assert [cell.replace(",", "") for cell in table.rows[0][:4]] == ["2026-01", "450", "70", "60"] and len(table.rows) == 1
    assert {"check": "overrides", "verdict": "attention"} in report.about["findings"]
    write_report(report, tmp_path / "report.html")
    written = read_report(tmp_path / "report.html")
    decided(tmp_path, pd.concat([first, finals()]))
    until = written.told["overrides_until"]
    again = make_report(bank, JOB, "both", None, config, until)
    assert until == "2026-01" and not [c for c in (*compare_files(written), *compare_again(written, again)) if c.differs]
    newer = find_overridden(bank, JOB, config, None)
    assert newer is not None and newer.until == "2026-02"
    decided(tmp_path, first[first["id"] != "F0000"])  # a decision that was counted is gone
    differs = [c.what for c in compare_again(written, make_report(bank, JOB, "en", None, config, until)) if c.differs]
    assert "tables, computed again" in differs


def test_a_report_from_before_the_first_decision_stays_the_same_when_some_come(bank: Path, tmp_path: Path) -> None:
    elsewhere = decided(tmp_path, finals().assign(id="F9999").iloc[:1])
    write_report(make_report(bank, JOB, "both", None, elsewhere), tmp_path / "report.html")
    config = decided(tmp_path, finals())
    assert find_overridden(bank, JOB, config, None) is not None
    written = read_report(tmp_path / "report.html")
    checks = verify_here(written, lambda job, choice, until: make_report(bank, job, choice, None, config, until))
    assert not [check for check in checks if check.differs]


def test_decisions_on_rows_of_another_model_and_few_ones_are_not_shown(bank: Path, tmp_path: Path) -> None:
    assert find_overridden(bank, "job-1", decided(tmp_path, finals()), None) is None
    assert find_overridden(bank, JOB, None, None) is None
    few = find_overridden(bank, JOB, decided(tmp_path, finals(3, 0)), None)
    assert isinstance(few, Overridden) and few.share is None and few.months[0].low is None
    assert list(of_overrides(few)) == [] and list(of_overrides(None)) == []
