"""Overrides in the report: of its own model, of the rows that were decided when it was written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bank_party.monitor.overrides import OverridesConfig
from bank_party.report.findings import of_overrides
from bank_party.report.overridden import Overridden, find_overridden
from bank_party.report.page import make_report
from common.errors import DataError
from common.monitor.book import Book
from common.party import Party
from common.report.charts import Chart
from common.report.verify import read_report, verify_here
from common.report.write import write_report
from tests.bank_party.monitor.test_overrides import finals, scores
from tests.common.report.conftest import JOB, Job


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts, of which none is of overrides, take most of a report's time; test_figures.py and test_page.py draw them."""
    monkeypatch.setattr(Chart, "svg", lambda _: "<svg></svg>")


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


def test_the_report_counts_decisions_against_its_model_and_stays_the_same_when_more_come(bank: Path, tmp_path: Path) -> None:
    """More of later months, and more of the same one; what was counted and is gone or another is told."""
    every = finals(70, 60).assign(period="2026-01")
    first = every[: len(every) - 30]  # the last thirty, declined by the model, are decided later
    config = decided(tmp_path, first)
    report = make_report(bank, JOB, "both", None, config)
    assert "Decisions against the model" in report.page and "人工改判" in report.page
    (table,) = [table for table in report.tables if table.name.startswith("overrides")]
    assert [cell.replace(",", "") for cell in table.rows[0][:4]] == ["2026-01", "420", "70", "60"] and len(table.rows) == 1
    assert {"check": "overrides", "verdict": "attention"} in report.about["findings"]
    write_report(report, tmp_path / "report.html")
    written = read_report(tmp_path / "report.html")

    def differs(finals: OverridesConfig) -> list[str]:
        checks = verify_here(written, lambda job, choice, look: make_report(bank, job, choice, None, finals, look))
        return [check.what for check in checks if check.differs]

    for more in (every, pd.concat([first, finals()]), pd.concat([every, finals()])):
        assert differs(decided(tmp_path, more)) == []
    newer = find_overridden(bank, JOB, config, None)
    assert newer is not None and [m.decided for m in newer.months] == [450, 450] and newer.look == 2
    decided(tmp_path, every[every["id"] != "F0000"])  # a decision that was counted is gone
    assert "tables, computed again" in differs(config)
    decided(tmp_path, every.assign(final=every["final"].where(every["id"] != "F0000", "approve")))  # or is another one now
    assert "tables, computed again" in differs(config)


def test_a_row_that_is_scored_again_is_not_another_row_of_an_earlier_report(bank: Path, tmp_path: Path) -> None:
    config = decided(tmp_path, finals())
    write_report(make_report(bank, JOB, "en", None, config), tmp_path / "report.html")
    again = scores().drop(columns=["month", "model"]).assign(decision="approve")
    again.to_csv(bank / "scores" / "score-10.csv", index=False)
    Book(bank / "monitor.sqlite").enter_scores("score-10", JOB, bank / "scores" / "score-10.csv")
    written = read_report(tmp_path / "report.html")
    checks = verify_here(written, lambda job, choice, look: make_report(bank, job, choice, None, config, look))
    assert not [check for check in checks if check.differs]
    newer = find_overridden(bank, JOB, config, None)
    assert newer is not None and newer.months[0].decided == 550  # nothing is referred by the later scores


def test_a_look_is_entered_once_and_one_that_is_not_there_is_told(bank: Path, tmp_path: Path) -> None:
    config = decided(tmp_path, finals())
    looks = [make_report(bank, JOB, "en", None, config).about["overrides_look"] for _ in range(2)]
    make_report(bank, JOB, "en", None, config, looks[0])
    more = decided(tmp_path, pd.concat([finals(), finals().assign(period="2026-01")]))
    looks += [make_report(bank, JOB, "en", None, more).about["overrides_look"]]
    assert looks == [1, 1, 2]
    with pytest.raises(DataError, match=r"as of look 3.*monitor\.sqlite"):
        find_overridden(bank, JOB, config, 3)


def test_a_look_that_is_no_number_is_a_damaged_report(bank: Path, tmp_path: Path) -> None:
    write_report(make_report(bank, JOB, "en", None, decided(tmp_path, finals())), tmp_path / "report.html")
    told = json.loads((tmp_path / "report.json").read_bytes())
    assert read_report(tmp_path / "report.html").told == told and told["overrides_look"] == 1
    for look in ("2026-01", -1, 1 << 63, None, True):
        (tmp_path / "report.json").write_text(json.dumps(told | {"overrides_look": look}))
        with pytest.raises(DataError, match="damaged"):
            read_report(tmp_path / "report.html")


def test_a_report_from_before_the_first_decision_stays_the_same_when_some_come(bank: Path, tmp_path: Path) -> None:
    elsewhere = decided(tmp_path, finals().assign(id="F9999").iloc[:1])
    write_report(make_report(bank, JOB, "both", None, elsewhere), tmp_path / "report.html")
    config = decided(tmp_path, finals())
    assert find_overridden(bank, JOB, config, None) is not None
    written = read_report(tmp_path / "report.html")
    checks = verify_here(written, lambda job, choice, look: make_report(bank, job, choice, None, config, look))
    assert not [check for check in checks if check.differs]


def test_decisions_on_rows_of_another_model_and_few_ones_are_not_shown(bank: Path, tmp_path: Path) -> None:
    assert find_overridden(bank, "job-1", decided(tmp_path, finals()), None) is None
    assert find_overridden(bank, JOB, None, None) is None
    few = find_overridden(bank, JOB, decided(tmp_path, finals(3, 0)), None)
    assert isinstance(few, Overridden) and few.share is None and few.months[0].low is None
    assert list(of_overrides(few)) == [] and list(of_overrides(None)) == []
