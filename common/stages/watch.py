"""A scoring job's rows against those of the model's training, at each party by itself."""

from __future__ import annotations

import logging
from pathlib import Path

from common.monitor import reference
from common.monitor.book import Book
from common.monitor.config import MonitorConfig
from common.monitor.drift import alarms, observe
from common.mpc.fixedpoint import Reals
from common.table import FeatureTable

_log = logging.getLogger(__name__)


def watch(
    job: str, model: str, folder: Path, history: Book, config: MonitorConfig, table: FeatureTable, u: Reals | None
) -> tuple[float, int] | None:
    """The largest stability index and the number of alarms; all else stays in `history`. None: the model has no reference.

    folder: the model's; u: scores of the rows, at the bank.
    """
    known = reference.load(model, folder)
    if known is None:
        return None
    readings = observe(job, model, known, table, u)
    history.enter(job, readings)
    found = alarms(readings, config)
    for alarm in found:
        _log.warning("job %s: alarm %s: %s is %.3f, above %.3f", job, alarm.key, alarm.what, alarm.value, alarm.limit)
    return max((reading.psi for reading in readings), default=0.0), len(found)
