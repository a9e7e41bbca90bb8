"""What one party's history tells: readings of what was scored, months whose outcomes are known, and the alarms in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, Literal

from common.monitor import drift
from common.monitor.book import Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm

_DATED = re.compile(r"\d{4}-\d\d")

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

    error: AUC's standard error (DeLong); before: AUC of the model's held-out rows, before_error likewise. expected: the
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
class Fate:
    """Rows of one verdict of the model and one of officers, and how they fared; None for what is of too few rows to be shown.

    verdict: of overrides by reason, the code, empty for all others; final: then empty. ended: rows whose outcome is known;
    expected: their mean calibrated probability; band: 95 % of the observed rate, by enterprises.
    """

    verdict: str
    final: str
    rows: int | None
    ended: int | None
    expected: float | None
    observed: float | None
    band: tuple[float, float] | None


@dataclass(frozen=True)
class OverrideMonth:
    """Decided rows of a month that the model approved or declined, and how many against it; judged: those it referred.

    low: approved though declined by the model; high: the reverse; None: too few to be shown. share: of decided, with its 95 %.
    """

    month: str
    decided: int
    judged: int
    low: int | None
    high: int | None
    share: float | None
    band: tuple[float, float] | None


@dataclass(frozen=True)
class Overrides:
    """What officers decided of the rows that one model scored. undecided: scored rows without a final decision."""

    model: str
    undecided: int
    months: tuple[OverrideMonth, ...]
    fates: tuple[Fate, ...]
    reasons: tuple[Fate, ...]


@dataclass(frozen=True)
class History:
    """unread: datasets in which labels were looked for, as none was named, and that are not as declared.

    why: the word of `texts.toml` for why no score can have an outcome: no dataset has a label, or none is of a scored row.
    overrides: by model, where the bank tells its final decisions. entered: months, and of rows without them jobs, as they came.
    """

    readings: Sequence[Reading]
    matured: Sequence[Matured]
    alarms: Sequence[Alarm]
    unread: Sequence[str] = ()
    why: Why = ""
    overrides: Sequence[Overrides] = ()
    entered: Sequence[str] = ()

    def newest_matured(self, entered: Sequence[str]) -> dict[str, int]:
        """How many alarms of `auc` and `calibration` the newest month has whose outcomes are known; none without one.

        entered: as of `newest`.
        """
        newest_ = newest(entered, {month.month for month in self.matured})
        found = Counter(alarm.what for alarm in self.alarms if alarm.month == newest_)
        return {what: found[what] for what in ("auc", "calibration")} if newest_ else {}

    def as_dict(self) -> dict[str, Any]:
        return {
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "readings": [asdict(reading) for reading in self.readings],
            "matured": [asdict(month) for month in self.matured],
            "unread": list(self.unread),
            "why": self.why,
            "overrides": [asdict(of) for of in self.overrides],
        }


def newest(entered: Sequence[str], among: AbstractSet[str]) -> str | None:
    """The newest of some months: by their text, but of rows without months, which are one named after its job, as they came.

    entered: all, in the order in which they came; who scores without months now has none by its text.
    """
    found = [*sorted(among - set(entered)), *(month for month in entered if month in among)]
    if not found or not _DATED.fullmatch(found[-1]):
        return found[-1] if found else None
    return max(month for month in found if _DATED.fullmatch(month))


def make_history(
    readings: Sequence[Reading],
    config: MonitorConfig,
    matured: Sequence[Matured] = (),
    raised: Sequence[Alarm] = (),
    unread: Sequence[str] = (),
    why: Why = "",
    overrides: Sequence[Overrides] = (),
    entered: Sequence[str] = (),
) -> History:
    """All of it, its alarms by month. raised: the alarms of matured months and of overrides, which their owner finds."""
    found = [*drift.alarms(readings, config), *raised]
    alarms = sorted(found, key=lambda alarm: (place(alarm.month, entered), alarm.what, -alarm.value))
    return History(readings, matured, alarms, unread, why, overrides, entered)


def place(month: str, entered: Sequence[str]) -> tuple[str, int]:
    """By which months are sorted, oldest first; jobs of rows without months behind them, as they came."""
    if _DATED.fullmatch(month):
        return month, 0
    return "~", entered.index(month) if month in entered else -1
