"""At the bank: scores given earlier beside the labels that are known by now, month by month."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.csv
import pyarrow.parquet

from bank_party.decision.bundle import HeldOut
from common.errors import DataError
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm
from common.monitor.small import Counts, hidden
from common.rows.dataset import DatasetConfig, read_labels
from common.stats import measures

_SIGMAS = 4.0
_KEYS = ["id", "period"]
_Z95 = 1.959963984540054

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GradeRate:
    """observed: None if it is of too few rows to be shown (`monitor.small`)."""

    grade: int
    rows: int
    expected: float
    observed: float | None


@dataclass(frozen=True)
class Matured:
    """One month under one model. auc and ks are None while a class has fewer than `min_labels` rows.

    error: AUC's standard error (DeLong); before: AUC of the model's held-out test rows, before_error likewise. expected: the
    mean calibrated probability, with the standard deviation `spread` that the observed rate then has. observed: None if it
    is of too few rows to be shown (`monitor.small`).
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


def read_scores(folder: Path, scored: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """Rows of all jobs, model by model; of a row scored twice by one model the later score. Missing files are left out."""
    parts = []
    for job, model, name in scored:
        if (file := folder / name).exists():
            keep = ["id", *(["period"] if "period" in (header := _header(file)) else []), "u", "probability", "grade"]
            if not set(keep) <= set(header):
                raise DataError(f"{file}: not a file of scores", public=f"the scores of job {job} are damaged")
            part = _read(file, keep)
            parts.append(part.assign(model=model, month=part.get("period", job)))
    if not parts:
        return pd.DataFrame(columns=["id", "month", "u", "probability", "grade", "model"])
    return pd.concat(parts).drop_duplicates(["id", "month", "model"], keep="last")


def _header(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        return list(pyarrow.parquet.read_schema(file).names)
    with file.open(encoding="utf-8") as stream:
        return [name.strip('"') for name in stream.readline().rstrip("\n").split(",")]


def _read(file: Path, columns: list[str]) -> pd.DataFrame:
    text = {name: pyarrow.string() for name in _KEYS if name in columns}
    if file.suffix == ".parquet":
        table = pyarrow.parquet.read_table(file, columns=columns)
    else:
        options = pyarrow.csv.ConvertOptions(include_columns=columns, column_types=text)
        table = pyarrow.csv.read_csv(file, convert_options=options)
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype(dict.fromkeys(text, object))


def known_labels(
    datasets: dict[str, DatasetConfig], names: Sequence[str], on_fault: Callable[[str, DataError], None] | None = None
) -> pd.DataFrame:
    """id, period (if months are kept) and label of all rows whose outcome is known; a later dataset's counts.

    Raises DataError for a dataset that is not as declared, or leaves it out and calls on_fault(name, error).
    """
    parts = []
    for name in (name for name in datasets if name in names):
        try:
            parts.append(read_labels(datasets[name], name=name))
        except DataError as error:
            if on_fault is None:
                raise
            on_fault(name, error)
    frames = [part for part in parts if len(part)]
    if not frames:
        return pd.DataFrame({"id": [], "label": []})
    return pd.concat(frames)


def mature(scores: pd.DataFrame, labels: pd.DataFrame, held: dict[str, HeldOut], config: MonitorConfig) -> list[Matured]:
    """By model and month; a score without period meets the label of an id that has none either, and no other."""
    known = _with_period(labels).drop_duplicates(_KEYS, keep="last")
    rows = _with_period(scores).merge(known, on=_KEYS, how="inner")
    found = []
    for (model, month), part in rows.groupby(["model", "month"], sort=True):
        if model in held:
            found.append(_measure(str(model), str(month), part, held[str(model)], config))
    return found


def _with_period(frame: pd.DataFrame) -> pd.DataFrame:
    """Its periods, empty where there is none: an outcome of no month is not that of any."""
    periods = frame["period"] if "period" in frame else pd.Series(index=frame.index, dtype=object)
    return frame.assign(id=frame["id"].astype(object), period=periods.astype(object).fillna(""))


def _measure(model: str, month: str, part: pd.DataFrame, held: HeldOut, config: MonitorConfig) -> Matured:
    y, u, p = (part[name].to_numpy(np.float64) for name in ("label", "u", "probability"))
    enough = min(int(y.sum()), int((1 - y).sum())) >= config.min_labels
    test = ~held.validation
    before, before_error = area(held.label[test], held.u_joint[test])
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
        observed=None if hidden(*_classes(y)).any() else float(y.mean()),
        grades=_grades(part),
    )


def _grades(part: pd.DataFrame) -> tuple[GradeRate, ...]:
    groups = [(int(str(grade)), rows) for grade, rows in part.groupby("grade", sort=True)]
    labels = [rows["label"].to_numpy(np.float64) for _, rows in groups]
    off = hidden(*_classes(*labels))
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
    return 0.5 + interval.difference, (interval.high - interval.low) / (2 * _Z95)


def alarms(months: Iterable[Matured], config: MonitorConfig) -> list[Alarm]:
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
