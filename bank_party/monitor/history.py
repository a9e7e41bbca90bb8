"""The bank's history: readings as at either party, and beside them the months whose outcomes are known by now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bank_party.decision import bundle
from bank_party.decision.scores import read_scores
from bank_party.labels import known_labels
from bank_party.monitor import matured
from bank_party.monitor.config import BankMonitorConfig
from common.disk.data_folder import Name
from common.errors import DataError, JobNotFound
from common.monitor.book import Book
from common.monitor.history import History, Matured, make_history
from common.rows.dataset import DatasetConfig

_log = logging.getLogger(__name__)


def read_history(data: Path, datasets: Mapping[str, DatasetConfig], config: BankMonitorConfig) -> History:
    """From the bank's data folder; matured months where it has scores and labels.

    Raises DataError for a dataset that `[monitor]` names for labels and that is not as declared.
    """
    book = Book(data / Name.HISTORY)
    months, unread = _matured(book, data, datasets, config)
    return make_history(book.readings(), config, months, matured.alarms(months, config), unread)


def _matured(
    book: Book, data: Path, datasets: Mapping[str, DatasetConfig], config: BankMonitorConfig
) -> tuple[list[Matured], tuple[str, ...]]:
    """Months, and datasets that could not be read."""
    scores = read_scores(data / Name.SCORES, book.scored())
    if not len(scores):
        return [], ()
    labels, unread = _labels({name: d for name, d in datasets.items() if d.label is not None}, config)
    held = {}
    for model in sorted(set(scores["model"])):
        try:
            held[model] = bundle.load(model, data / Name.MODELS / model)
        except JobNotFound:  # removed since
            continue
    return matured.mature(scores, labels, held, config), unread


def _labels(labelled: dict[str, DatasetConfig], config: BankMonitorConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Labels of the named datasets, or of all that can be read: one that scoring never uses must not silence the monitor."""
    if config.labels:
        return known_labels(labelled, config.labels), ()
    unread: list[str] = []

    def note(name: str, error: DataError) -> None:
        unread.append(name)
        _log.warning("labels of dataset %s: %s", name, error)

    return known_labels(labelled, tuple(labelled), note), tuple(unread)
