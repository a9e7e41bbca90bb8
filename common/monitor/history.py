"""All that `wattscore monitor` shows: readings and matured months of one party, and the alarms in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bank_party.decision import bundle
from bank_party.monitor import matured
from bank_party.monitor.matured import Matured
from common.errors import DataError, JobNotFound
from common.monitor import drift
from common.monitor.book import Book, Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm
from common.rows.dataset import DatasetConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class History:
    """unread: datasets in which labels were looked for, as none was named, and that are not as declared."""

    readings: Sequence[Reading]
    matured: Sequence[Matured]
    alarms: Sequence[Alarm]
    unread: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "readings": [asdict(reading) for reading in self.readings],
            "matured": [asdict(month) for month in self.matured],
            "unread": list(self.unread),
        }


def read_history(data: Path, datasets: Mapping[str, DatasetConfig], config: MonitorConfig) -> History:
    """Of the party whose data folder this is; matured months where it has scores and labels.

    Raises DataError for a dataset that `[monitor]` names for labels and that is not as declared.
    """
    book = Book(data / "monitor.sqlite")
    readings, (months, unread) = book.readings(), _matured(book, data, datasets, config)
    alarms = [*drift.alarms(readings, config), *matured.alarms(months, config)]
    return History(readings, months, sorted(alarms, key=lambda alarm: (alarm.month, alarm.what, -alarm.value)), unread)


def _matured(
    book: Book, data: Path, datasets: Mapping[str, DatasetConfig], config: MonitorConfig
) -> tuple[list[Matured], tuple[str, ...]]:
    """Months, and datasets that could not be read."""
    scores = matured.read_scores(data / "scores", book.scored())
    if not len(scores):
        return [], ()
    labels, unread = _labels({name: d for name, d in datasets.items() if d.label is not None}, config)
    held = {}
    for model in sorted(set(scores["model"])):
        try:
            held[model] = bundle.load(model, data / "models" / model)
        except JobNotFound:  # removed since
            continue
    return matured.mature(scores, labels, held, config), unread


def _labels(labelled: dict[str, DatasetConfig], config: MonitorConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Of the named datasets, or of all that can be read: one that scoring never uses must not silence the monitor."""
    if config.labels:
        return matured.known_labels(labelled, config.labels), ()
    unread: list[str] = []

    def note(name: str, error: DataError) -> None:
        unread.append(name)
        _log.warning("labels of dataset %s: %s", name, error)

    return matured.known_labels(labelled, tuple(labelled), note), tuple(unread)
