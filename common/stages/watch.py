"""A scoring job's rows against those of the model's training, at each party by itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from common.home.outcome import Drift
from common.monitor import reference
from common.monitor.book import Book, Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import alarms, observe
from common.mpc.fixedpoint import Reals
from common.rows.table import FeatureTable

_log = logging.getLogger(__name__)


def watch(
    job: str, model: str, folder: Path, history: Book, config: MonitorConfig, table: FeatureTable, u: Reals | None
) -> list[Reading] | None:
    """The readings entered into `history`, which stays here; see `told`. None: the model has no reference.

    folder: the model's; u: scores of the rows, at the bank.
    """
    known = reference.load(model, folder)
    if known is None:
        return None
    readings = observe(job, model, known, table, u)
    history.enter(job, readings)
    for alarm in alarms(readings, config):
        _log.warning("job %s: alarm %s: %s is %.3f, above %.3f", job, alarm.key, alarm.what, alarm.value, alarm.limit)
    return readings


def told(readings: Sequence[Reading], config: MonitorConfig, least: int) -> Drift | None:
    """The two numbers that others may hear: the largest stability index beyond chance, 0 if none is, and the number of alarms.

    Of months with at least `least` rows only, as an index of one row tells in which bin it is; None without such a month.
    """
    large = [reading for reading in readings if reading.rows >= least]
    if not large:
        return None
    largest = max((reading.psi for reading in large if reading.psi > reading.floor), default=0.0)
    return Drift(largest, len(alarms(large, config)))
