"""Datasets in which labels are looked for: those that are not as declared are named and do not silence the monitor."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.history import read_history
from common.errors import DataError
from common.monitor.book import Book
from common.rows.dataset import DatasetConfig


def test_a_broken_dataset_is_named_and_refused_only_if_labels_are_asked_of_it(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    frame = pd.DataFrame({"id": ["F1", "F2"], "u": [0.0, 1.0], "probability": [0.5, 0.7], "grade": [1, 2]})
    frame.to_csv(tmp_path / "scores" / "score-1.csv", index=False)
    Book(tmp_path / "monitor.sqlite").enter_scores("score-1", "job-1", tmp_path / "scores" / "score-1.csv")
    datasets = {}
    for name, text in (("loans", "id,y\nF1,1\n"), ("empty", "id,y\n"), ("wrong", "id,y\nF1,7\n")):
        (tmp_path / f"{name}.csv").write_text(text)
        datasets[name] = DatasetConfig(path=tmp_path / f"{name}.csv", id="id", label="y")
    history = read_history(tmp_path, datasets, BankMonitorConfig())
    assert history.unread == ("empty", "wrong") and history.as_dict()["unread"] == ["empty", "wrong"]
    assert read_history(tmp_path, datasets, BankMonitorConfig(labels=("loans",))).unread == ()
    with pytest.raises(DataError, match="not 0 or 1"):
        read_history(tmp_path, datasets, BankMonitorConfig(labels=("loans", "wrong")))
