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
from common.errors import JobNotFound, WattScoreError
from common.monitor.book import Book
from common.monitor.history import History, Matured, Why, make_history
from common.rows.dataset import DatasetConfig

_log = logging.getLogger(__name__)


def read_history(data: Path, datasets: Mapping[str, DatasetConfig], config: BankMonitorConfig) -> History:
    """From the bank's data folder; matured months where it has scores and labels.

    Raises ConfigError for a dataset that `[monitor]` names for labels and that has none, DataError for one that is not as
    declared. Warns where no score can have an outcome.
    """
    book = Book(data / Name.HISTORY)
    months, unread, why = _matured(book, data, datasets, config)
    return make_history(book.readings(), config, months, matured.alarms(months, config), unread, why)


def _matured(
    book: Book, data: Path, datasets: Mapping[str, DatasetConfig], config: BankMonitorConfig
) -> tuple[list[Matured], tuple[str, ...], Why]:
    """Months, datasets that could not be read, and why there is no month if that is not a matter of time."""
    scores = read_scores(data / Name.SCORES, book.scored())
    if not len(scores):
        return [], (), ""
    labels, unread = _labels(datasets, config)
    if labels is None:
        _log.warning("no dataset with a label that can be read: outcomes cannot be known")
        return [], unread, "nolabel"
    held = {}
    for model in sorted(set(scores["model"])):
        try:
            held[model] = bundle.load(model, data / Name.MODELS / model)
        except JobNotFound:  # removed since
            continue
    months = matured.mature(scores, labels, held, config)
    if len(labels) and not months:
        _log.warning(
            "%d outcomes are known, none of a row that was scored: do ids and months of the datasets agree?", len(labels)
        )
        return [], unread, "nomatch"
    return months, unread, ""


def _labels(datasets: Mapping[str, DatasetConfig], config: BankMonitorConfig) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Labels of the named datasets, or of all that can be read: one that scoring never uses must not silence the monitor."""
    if config.labels:
        return known_labels({name: datasets[name] for name in datasets if name in config.labels}), ()
    unread: list[str] = []

    def note(name: str, error: WattScoreError) -> None:
        unread.append(name)
        _log.warning("labels of dataset %s: %s", name, error)

    return known_labels(datasets, note), tuple(unread)
