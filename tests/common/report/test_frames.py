"""A report's tables as frames are those of its JSON: numbers as numbers, hidden cells as nothing, names unlike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bank_party.report.page import make_report
from common.errors import DataError
from common.party import Party
from common.report.frames import read_report
from common.report.write import write_report
from tests.common.report.conftest import JOB, Job


def test_tables_are_frames(job: Job, tmp_path: Path) -> None:
    write_report(make_report(job.data(Party.BANK), JOB, "en"), tmp_path / "report.html")
    told = {table["name"]: table for table in json.loads((tmp_path / "report.json").read_bytes())["tables"]}
    report = read_report(str(tmp_path / "report.html"))
    assert (report.job, report.party, list(report)) == (JOB, "bank", list(told)) and len(report) == len(told)
    for name, table in told.items():
        assert report[name].shape == (len(table["rows"]), len(table["columns"])) and report[name].columns.is_unique
    decisions = report["decision-2"]
    assert {kind.kind for kind in decisions.dtypes} == {"f"} and 0 < decisions["approval rate"].iloc[0] < 1
    assert list(report.findings) == ["verdict", "check", "value", "limit"] and "fail" in report._repr_html_()
    with pytest.raises(DataError, match=r"other\.html"):
        read_report(tmp_path / "other.html")
