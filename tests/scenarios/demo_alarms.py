"""What the demo's monitoring would say of a world, by the same functions and without daemons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.config import validate
from common.monitor.config import MonitorConfig
from common.monitor.drift import alarms, observe
from common.monitor.reference import describe
from common.party import Party
from common.rows.dataset import DatasetConfig, read_table
from common.rows.table import FeatureTable
from common.trial.demo import DRIFT, HISTORY, LATER, build_side, lay_out
from common.trial.world import Drift

TRAINED = 2025 * 12 + 2  # March: the bank's last label is of September, and two quarters are held out
Named = set[tuple[str, str, str]]
"""(party, month, column)."""


def named(folder: Path, enterprises: int, seed: int, drift: Sequence[Drift] = DRIFT) -> Named:
    """What alarms name in the later quarters, by a reference of the quarters trained on."""
    homes = {party: folder / party.value for party in Party}
    for home in homes.values():
        home.mkdir(parents=True, exist_ok=True)
    lay_out(homes, enterprises, seed, drift)
    return {found for party, home in homes.items() for found in _named(party, home)}


def _named(party: Party, home: Path) -> Named:
    datasets = build_side(party, home).datasets

    def read(name: str) -> FeatureTable:
        return read_table(validate(DatasetConfig, dict(datasets[name]), name), name=name, party=party).table

    history, later = read(HISTORY), read(LATER)
    assert history.periods is not None and later.periods is not None and later.rows > 0
    assert set(later.periods.tolist()) == {2026 * 12 + 2, 2026 * 12 + 5}
    trained = history.take(np.flatnonzero(history.periods <= TRAINED))
    readings = observe("score-1", "train-1", describe(trained, trained.rows), later, None)
    return {(party.value, alarm.month, alarm.feature) for alarm in alarms(readings, MonitorConfig())}
