"""Datasets in which labels are looked for: those that are not as declared are named and do not silence the monitor."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.history import read_history
from bank_party.monitor.overrides import OverridesConfig
from common.errors import ConfigError, DataError
from common.monitor.book import Book
from common.monitor.history import History
from common.monitor.page import make_page
from common.rows.dataset import DatasetConfig


def scored(data: Path) -> None:
    """A file of scores of F1 and F2, by job-1."""
    (data / "scores").mkdir()
    frame = pd.DataFrame({"id": ["F1", "F2"], "u": [0.0, 1.0], "probability": [0.5, 0.7], "grade": [1, 2]})
    frame.to_csv(data / "scores" / "score-1.csv", index=False)
    Book(data / "monitor.sqlite").enter_scores("score-1", "job-1", data / "scores" / "score-1.csv")


def test_a_broken_dataset_is_named_and_refused_only_if_labels_are_asked_of_it(tmp_path: Path) -> None:
    scored(tmp_path)
    datasets = {}
    for name, text in (("loans", "id,y\nF1,1\n"), ("empty", "id,y\n"), ("wrong", "id,y\nF1,7\n")):
        (tmp_path / f"{name}.csv").write_text(text)
        datasets[name] = DatasetConfig(path=tmp_path / f"{name}.csv", id="id", label="y")
    history = read_history(tmp_path, datasets, BankMonitorConfig())
    assert history.unread == ("empty", "wrong") and history.as_dict()["unread"] == ["empty", "wrong"]
    assert read_history(tmp_path, datasets, BankMonitorConfig(labels=("loans",))).unread == ()
    with pytest.raises(DataError, match="not 0 or 1"):
        read_history(tmp_path, datasets, BankMonitorConfig(labels=("loans", "wrong")))


@pytest.mark.parametrize(("scored_month", "why"), [("2026-04", ""), ("2026-03", "nomatch"), ("2026-01", "nomatch")])
def test_a_month_that_is_newer_than_all_outcomes_is_not_taken_for_one_that_matches_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, scored_month: str, why: str
) -> None:
    scored(tmp_path)
    file = tmp_path / "scores" / "score-1.csv"
    pd.read_csv(file).assign(period=scored_month, decision="approve").to_csv(file, index=False)
    (tmp_path / "loans.csv").write_text("id,m,overdue,final\nF8,2026-02,1,approve\nF9,2026-03,0,decline\n")
    loans = DatasetConfig(path=tmp_path / "loans.csv", id="id", period="m", label="overdue")
    finals = OverridesConfig(path=tmp_path / "loans.csv", id="id", period="m", decision="final")
    assert read_history(tmp_path, {"loans": loans}, BankMonitorConfig(), finals).why == why
    assert [f"{what}, none o" in caplog.text for what in ("outcomes are known", "final decisions")] == [bool(why)] * 2


def test_why_no_score_has_an_outcome_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scored(tmp_path)
    (tmp_path / "loans.csv").write_text("id,overdue\nF8,1\nF9,0\n")
    plain = DatasetConfig(path=tmp_path / "loans.csv", id="id")
    assert read_history(tmp_path, {"loans": plain}, BankMonitorConfig()).why == "nolabel"
    assert "no dataset with a label that can be read: outcomes cannot be known" in caplog.text
    wrong = {"loans": plain.model_copy(update={"label": "overdu"})}
    assert read_history(tmp_path, wrong, BankMonitorConfig()).unread == ("loans",)
    assert "labels of dataset loans" in caplog.text and "close names in the file: 'overdue'" in caplog.text
    with pytest.raises(DataError, match="close names in the file: 'overdue'"):
        read_history(tmp_path, wrong, BankMonitorConfig(labels=("loans",)))
    with pytest.raises(ConfigError, match="dataset loans: has no label"):
        read_history(tmp_path, {"loans": plain}, BankMonitorConfig(labels=("loans",)))
    others = read_history(tmp_path, {"loans": plain.model_copy(update={"label": "overdue"})}, BankMonitorConfig())
    assert others.why == "nomatch" and "2 outcomes are known, none of a row that was scored" in caplog.text
    page = make_page(others, BankMonitorConfig(), title="bank", when="now", lang="en")
    assert "none of a row that was scored" in page and "none of a row" not in make_page(
        History([], [], []), BankMonitorConfig(), title="bank", when="now", lang="en"
    )
