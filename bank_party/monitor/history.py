"""The bank's history: readings as at either party, and beside them the months whose outcomes are known by now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bank_party.decision import bundle
from bank_party.decision.scores import DECIDED, READ, read_scores
from bank_party.labels import known_labels
from bank_party.monitor import matured, overrides
from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.overrides import OverridesConfig
from common.disk.data_folder import Name
from common.errors import JobNotFound, WattScoreError
from common.monitor.book import Book
from common.monitor.history import History, Matured, Overrides, Why, make_history
from common.rows.dataset import DatasetConfig

_log = logging.getLogger(__name__)


def read_history(
    data: Path,
    datasets: Mapping[str, DatasetConfig],
    config: BankMonitorConfig,
    finals: OverridesConfig | None = None,
) -> History:
    """From the bank's data folder; matured months where it has scores and labels, overrides where `finals` says so.

    Raises ConfigError for a dataset that `[monitor]` names for labels and that has none, DataError for one that is not as
    declared. Warns where no score can have an outcome.
    """
    book = Book(data / Name.HISTORY)
    scored = book.scored()
    labels, unread = _labels(datasets, config) if scored else (None, ())
    months, why = _matured(read_scores(data / Name.SCORES, scored), labels, data / Name.MODELS, config)
    found = [] if finals is None else _overrides(data / Name.SCORES, scored, finals, labels)
    raised = matured.alarms(months, config) + ([] if finals is None else overrides.alarms(found, finals))
    return make_history(book.readings(), config, months, raised, unread, why, found, book.entered())


def _matured(
    scores: pd.DataFrame, labels: pd.DataFrame | None, models: Path, config: BankMonitorConfig
) -> tuple[list[Matured], Why]:
    """Months, and why there is none if that is not a matter of time."""
    if not len(scores):
        return [], ""
    if labels is None:
        _log.warning("no dataset with a label that can be read: outcomes cannot be known")
        return [], "nolabel"
    held = {}
    for model in sorted(set(scores["model"])):
        try:
            held[model] = bundle.load(model, models / model)
        except JobNotFound:  # removed since
            continue
    months = matured.mature(scores, labels, held, config)
    if len(labels) and not months and not _yet_to_come(scores, labels):
        _log.warning(
            "%d outcomes are known, none of a row that was scored: do ids and months of the datasets agree?", len(labels)
        )
        return [], "nomatch"
    return months, ""


def _yet_to_come(scores: pd.DataFrame, known: pd.DataFrame) -> bool:
    """Whether every score is of a month after all that are known: then nothing is amiss where none is of a scored row."""
    scored, told = (matured.with_period(frame)["period"] for frame in (scores, known))
    return bool(scored.min() > told.max()) and bool(told.min())


def _overrides(
    folder: Path, scored: list[tuple[str, str, str]], config: OverridesConfig, labels: pd.DataFrame | None
) -> list[Overrides]:
    """Warns where no final decision is on a row that was scored."""
    decided = overrides.read_finals(config)
    scores = read_scores(folder, scored, (*READ, DECIDED))
    found = overrides.measure(scores, decided, labels)
    if len(decided) and len(scores) and not found and not _yet_to_come(scores, decided):
        _log.warning("%d final decisions, none on a row that was scored: do ids and months agree?", len(decided))
    return found


def _labels(datasets: Mapping[str, DatasetConfig], config: BankMonitorConfig) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Labels of the named datasets, or of all that can be read: one that scoring never uses must not silence the monitor."""
    if config.labels:
        return known_labels({name: datasets[name] for name in datasets if name in config.labels}), ()
    unread: list[str] = []

    def note(name: str, error: WattScoreError) -> None:
        unread.append(name)
        _log.warning("labels of dataset %s: %s", name, error)

    return known_labels(datasets, note), tuple(unread)
