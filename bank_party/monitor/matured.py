"""At the bank: scores given earlier beside the labels that are known by now, month by month."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from bank_party.decision.bundle import HeldOut
from bank_party.monitor.config import BankMonitorConfig
from common.monitor.drift import Alarm
from common.monitor.history import GradeRate, Matured
from common.stats import measures
from common.stats.few import Counts, hidden_rates
from common.stats.proportion import error_of

_SIGMAS = 4.0
_KEYS = ["id", "period"]

Vector = npt.NDArray[np.float64]


def mature(scores: pd.DataFrame, labels: pd.DataFrame, held: dict[str, HeldOut], config: BankMonitorConfig) -> list[Matured]:
    """Matured months, by model; a score without period meets the label of an id that has none either, and no other."""
    known = with_period(labels).drop_duplicates(_KEYS, keep="last")
    rows = with_period(scores).merge(known, on=_KEYS, how="inner")
    found = []
    for (model, month), part in rows.groupby(["model", "month"], sort=True):
        if model in held:
            found.append(_measure(str(model), str(month), part, held[str(model)], config))
    return found


def with_period(frame: pd.DataFrame) -> pd.DataFrame:
    """Its periods, empty where there is none: an outcome of no month is not that of any."""
    periods = frame["period"] if "period" in frame else pd.Series(index=frame.index, dtype=object)
    return frame.assign(id=frame["id"].astype(object), period=periods.astype(object).fillna(""))


def _measure(model: str, month: str, part: pd.DataFrame, held: HeldOut, config: BankMonitorConfig) -> Matured:
    y, u, p = (part[name].to_numpy(np.float64) for name in ("label", "u", "probability"))
    enough = min(int(y.sum()), int((1 - y).sum())) >= config.min_labels
    before, before_error = area(held.label, held.u_joint)  # of all: what calibrates ranks no better for it
    auc, error = area(y, u) if enough else (None, math.nan)
    return Matured(
        model=model,
        month=month,
        rows=len(y),
        auc=auc,
        error=error,
        before=before,
        before_error=before_error,
        ks=measures.ks(y, u) if enough else None,
        expected=float(p.mean()),
        spread=math.sqrt(float((p * (1 - p)).sum())) / len(y),
        observed=None if hidden_rates(*_classes(y)).any() else float(y.mean()),
        grades=_grades(part),
    )


def _grades(part: pd.DataFrame) -> tuple[GradeRate, ...]:
    groups = [(int(str(grade)), rows) for grade, rows in part.groupby("grade", sort=True)]
    labels = [rows["label"].to_numpy(np.float64) for _, rows in groups]
    off = hidden_rates(*_classes(*labels))
    return tuple(
        GradeRate(grade, len(y), float(rows["probability"].mean()), None if hide else float(y.mean()))
        for (grade, rows), y, hide in zip(groups, labels, off, strict=True)
    )


def _classes(*labels: Vector) -> tuple[Counts, Counts]:
    """Overdue and other rows of each, (len(labels),)."""
    bad = np.array([y.sum() for y in labels], np.int64)
    return bad, np.array([len(y) for y in labels], np.int64) - bad


def area(y: Vector, u: Vector) -> tuple[float, float]:
    """AUC and its standard error by DeLong: against a constant, whose AUC is exactly one half."""
    interval = measures.delong(y, u, np.zeros_like(u))
    return 0.5 + interval.difference, error_of(interval.low, interval.high)


def alarms(months: Iterable[Matured], config: BankMonitorConfig) -> list[Alarm]:
    """Falls of the AUC and wrong rates that pass a threshold and four standard errors, in months with enough of each class."""
    found = []
    for m in months:
        if m.auc is None or m.observed is None:
            continue  # of so few rows the rate is not normal, and four errors are no rare chance
        limit = m.before - max(config.auc_fall, _SIGMAS * math.hypot(m.error, m.before_error))
        if m.auc < limit:
            found.append(Alarm("auc", m.model, m.month, "", m.auc, limit))
        allowed = max(config.calibration, _SIGMAS * m.spread)
        if abs(m.observed - m.expected) > allowed:
            sign = 1 if m.observed > m.expected else -1
            found.append(Alarm("calibration", m.model, m.month, "", m.observed, m.expected + sign * allowed))
    return found
