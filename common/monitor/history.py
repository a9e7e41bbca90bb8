"""What one party's history tells: readings of what was scored, months whose outcomes are known, and the alarms in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from common.monitor import drift
from common.monitor.book import Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm

Why = Literal["", "nolabel", "nomatch"]


@dataclass(frozen=True)
class GradeRate:
    """observed: None if it is of too few rows to be shown (`stats.few`)."""

    grade: int
    rows: int
    expected: float
    observed: float | None


@dataclass(frozen=True)
class Matured:
    """One month under one model. auc and ks are None while a class has fewer than `min_labels` rows.

    error: AUC's standard error (DeLong); before: AUC of the model's held-out test rows, before_error likewise. expected: the
    mean calibrated probability, with the standard deviation `spread` that the observed rate then has. observed: None if it
    is of too few rows to be shown (`stats.few`).
    """

    model: str
    month: str
    rows: int
    auc: float | None
    error: float
    before: float
    before_error: float
    ks: float | None
    expected: float
    spread: float
    observed: float | None
    grades: tuple[GradeRate, ...]


@dataclass(frozen=True)
class History:
    """unread: datasets in which labels were looked for, as none was named, and that are not as declared.

    why: the word of `texts.toml` for why no score can have an outcome: no dataset has a label, or none is of a scored row.
    """

    readings: Sequence[Reading]
    matured: Sequence[Matured]
    alarms: Sequence[Alarm]
    unread: Sequence[str] = ()
    why: Why = ""

    def newest_matured(self) -> dict[str, int]:
        """How many alarms of `auc` and `calibration` the newest month has whose outcomes are known; none without one."""
        newest = max((month.month for month in self.matured), default=None)
        found = Counter(alarm.what for alarm in self.alarms if alarm.month == newest)
        return {what: found[what] for what in ("auc", "calibration")} if newest else {}

    def as_dict(self) -> dict[str, Any]:
        return {
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "readings": [asdict(reading) for reading in self.readings],
            "matured": [asdict(month) for month in self.matured],
            "unread": list(self.unread),
            "why": self.why,
        }


def make_history(
    readings: Sequence[Reading],
    config: MonitorConfig,
    matured: Sequence[Matured] = (),
    raised: Sequence[Alarm] = (),
    unread: Sequence[str] = (),
    why: Why = "",
) -> History:
    """All of it, its alarms by month. raised: the alarms of matured months, which their owner finds."""
    alarms = [*drift.alarms(readings, config), *raised]
    return History(readings, matured, sorted(alarms, key=lambda alarm: (alarm.month, alarm.what, -alarm.value)), unread, why)
