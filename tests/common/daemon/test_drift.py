"""What Prometheus is told of drift: the newest month's alarms by kind, and no column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from common.daemon.drift import watch_drift
from common.disk.data_folder import Name
from common.monitor.book import Book
from common.monitor.config import MonitorConfig
from tests.common.daemon.test_commands import CALM, DRIFTED


def test_the_newest_months_alarms_are_counted_and_no_column_named(tmp_path: Path) -> None:
    config = [MonitorConfig()]
    watch_drift(registry := CollectorRegistry(), tmp_path, lambda: config[0])

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"wattscore_drift_{name}", labels)

    assert (told("alarms", what="psi"), told("largest_psi")) == (0, 0)
    book = Book(tmp_path / Name.HISTORY)
    book.enter(
        "score-1", [CALM, DRIFTED, replace(DRIFTED, feature="paid", missing=0.5), replace(CALM, month="2024-02", feature="x")]
    )
    assert (told("alarms", what="psi"), told("alarms", what="missing"), told("largest_psi")) == (2, 1, 0.5)
    assert told("alarms", what="auc") is None  # no outcome is known yet
    book.mature({"auc": 1, "calibration": 0})
    assert (told("alarms", what="auc"), told("alarms", what="calibration")) == (1, 0)
    config[0] = MonitorConfig(psi=0.9)  # read anew
    assert told("alarms", what="psi") == 0
    book.enter("score-2", [replace(CALM, month="2024-03")])
    assert (told("alarms", what="missing"), told("largest_psi")) == (0, 0)  # the newest month is calm
    assert b"kwh" not in generate_latest(registry) and b"paid" not in generate_latest(registry)


def test_of_rows_without_months_the_newest_is_what_came_last(tmp_path: Path) -> None:
    """A job's name stands for their month: by its text it was newer than every month, and of one day any of its jobs."""
    watch_drift(registry := CollectorRegistry(), tmp_path, MonitorConfig)
    book = Book(tmp_path / Name.HISTORY)
    for job, month, drifts in (
        ("score-1", "2024-03", False),
        ("score-20240401-ffffffff", "score-20240401-ffffffff", True),
        ("score-20240401-0a0a0a0a", "score-20240401-0a0a0a0a", False),
        ("score-2", "2024-04", True),  # by month again
        ("score-3", "2023-01", False),  # an earlier one, scored late
    ):
        before = registry.get_sample_value("wattscore_drift_alarms", {"what": "psi"})
        book.enter(job, [replace(DRIFTED if drifts else CALM, month=month)])
        expected = before if month == "2023-01" else drifts
        assert registry.get_sample_value("wattscore_drift_alarms", {"what": "psi"}) == expected, month


def test_a_book_that_cannot_be_read_ends_no_scrape(tmp_path: Path) -> None:
    watch_drift(registry := CollectorRegistry(), tmp_path, MonitorConfig)
    (tmp_path / Name.HISTORY).write_bytes(b"no database" * 100)
    assert b"drift" not in generate_latest(registry)
