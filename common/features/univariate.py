"""One source column by itself: what is missing, what it tells of the label, whether held-out rows look like training rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.config import StrictModel
from common.stats.psi import chance, divergence

Values = npt.NDArray[np.float64] | npt.NDArray[np.object_]
Codes = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]

_BINS = 10  # of equal numbers of training rows
_LEVELS = 20  # categories by themselves; the others share a bin
_MOST = 200_000  # rows looked at: enough for three digits


class Feature(StrictModel):
    """A source column on training rows: missing share in [0, 1]; iv: information value, None without a label.

    psi: of training rows against held-out rows, on the same bins; chance: what it exceeds once in a million though they are of
    one kind, 0 in records made before it was kept.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    missing: float
    iv: float | None
    psi: float
    prepared: int  # trained columns made of it; 0: it is left out
    chance: float = 0.0


def describe(
    name: str, kind: Literal["numeric", "categorical"], values: Values, train_rows: int, label: Values | None, prepared: int
) -> Feature:
    """values: (n,), training rows first, missing as NaN or None; label: of the training rows, (train_rows,)."""
    step = max(1, train_rows // _MOST)
    train, held = values[:train_rows:step], values[train_rows::step]
    bins = _numeric(train, held) if kind == "numeric" else _categorical(train, held)
    (before, after), count = bins, max(int(part.max(initial=0)) for part in bins) + 1
    seen = _count(before, count)
    now, iv = _count(after, count), None
    if label is not None:
        bad = _count(before[label[::step] == 1], count)
        iv = divergence(bad, seen - bad)
    return Feature(
        name=name,
        kind=kind,
        missing=float(np.mean(pd.isna(train))),
        iv=iv,
        psi=divergence(now, seen),
        prepared=prepared,
        chance=chance(now, seen),
    )


def _count(codes: Codes, bins: int) -> Counts:
    return np.bincount(codes, minlength=bins).astype(np.int64)


def _numeric(train: Values, held: Values) -> tuple[Codes, Codes]:
    """Bins by training quantiles; missing values have the last one."""
    known = np.asarray(train, np.float64)
    known = known[~np.isnan(known)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if known.size else np.empty(0)
    return _into(edges, train), _into(edges, held)


def _into(edges: npt.NDArray[np.float64], values: Values) -> Codes:
    numbers = np.asarray(values, np.float64)
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="left")).astype(np.intp)


def _categorical(train: Values, held: Values) -> tuple[Codes, Codes]:
    """Bins 0 for other levels, 1 for missing ones, then the most frequent."""
    levels = pd.Index(pd.Series(train).value_counts().index[:_LEVELS], dtype=object)

    def code(values: Values) -> Codes:
        place = levels.get_indexer(pd.Index(values, dtype=object)) + 2
        return np.where(pd.isna(values), 1, np.where(place < 2, 0, place)).astype(np.intp)

    return code(train), code(held)
