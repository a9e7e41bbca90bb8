"""Drift for Prometheus: alarms of the newest month by kind, its largest index; no column is named, as metrics need no login."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from common.disk.data_folder import Name
from common.monitor.book import Book
from common.monitor.config import MonitorConfig
from common.monitor.drift import alarms
from common.monitor.history import newest
from common.process.metrics import Callback

_log = logging.getLogger(__name__)


def watch_drift(registry: CollectorRegistry, data: Path, config: Callable[[], MonitorConfig]) -> None:
    """wattscore_drift_alarms by kind and wattscore_drift_largest_psi, of the newest month that was scored.

    data: the party's folder. config: its thresholds as they are now. Alarms of matured outcomes are as of the last `monitor`.
    """

    def collect() -> Iterable[Metric]:
        count = GaugeMetricFamily("wattscore_drift_alarms", "Alarms of the newest month, by kind.", labels=("what",))
        largest = GaugeMetricFamily("wattscore_drift_largest_psi", "Largest stability index of the newest month beyond chance.")
        try:
            book = Book(data / Name.HISTORY)
            readings, matured, entered = book.readings(), book.matured(), book.entered()
        except (OSError, sqlite3.Error) as error:
            _log.warning("drift cannot be counted: %s", error)
            return []
        last = newest(entered, {r.month for r in readings})
        found = [r for r in readings if r.month == last]
        kinds = Counter(alarm.what for alarm in alarms(found, config()))
        for what, number in {"psi": kinds["psi"], "missing": kinds["missing"], **matured}.items():
            count.add_metric((what,), number)
        largest.add_metric((), max((r.psi for r in found if r.psi > r.floor), default=0.0))
        return [count, largest]

    registry.register(Callback(collect))
