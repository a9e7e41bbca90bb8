"""All that `wattscore monitor` shows: readings and matured months of one party, and the alarms in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.dataset import DatasetConfig
from common.decision import bundle
from common.errors import JobNotFound
from common.monitor import drift, matured
from common.monitor.book import Book, Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm
from common.monitor.matured import Matured


@dataclass(frozen=True)
class History:
    readings: Sequence[Reading]
    matured: Sequence[Matured]
    alarms: Sequence[Alarm]

    def as_dict(self) -> dict[str, Any]:
        return {
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "readings": [asdict(reading) for reading in self.readings],
            "matured": [asdict(month) for month in self.matured],
        }


def read_history(data: Path, datasets: Mapping[str, DatasetConfig], config: MonitorConfig) -> History:
    """Of the party whose data folder this is; matured months where it has scores and labels. Raises DataError."""
    book = Book(data / "monitor.sqlite")
    readings, months = book.readings(), _matured(book, data, datasets, config)
    alarms = [*drift.alarms(readings, config), *matured.alarms(months, config)]
    return History(readings, months, sorted(alarms, key=lambda alarm: (alarm.month, alarm.what, -alarm.value)))


def _matured(book: Book, data: Path, datasets: Mapping[str, DatasetConfig], config: MonitorConfig) -> list[Matured]:
    scores = matured.read_scores(data / "scores", book.scored())
    if not len(scores):
        return []
    labelled = {name: dataset for name, dataset in datasets.items() if dataset.label is not None}
    labels = matured.known_labels(labelled, config.labels or tuple(labelled))
    held = {}
    for model in sorted(set(scores["model"])):
        try:
            held[model] = bundle.load(model, data / "models" / model)
        except JobNotFound:  # removed since
            continue
    return matured.mature(scores, labels, held, config)
