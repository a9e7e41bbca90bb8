"""Columns that tell the label rather than what comes before it: warned of by name to their owner, before any training.

A model that has seen the answer is excellent on held-out rows and worthless on new ones. Looked at is each column by itself:
whether it ranks the label all but perfectly (its values, or bins of them, on rows other than those the bins' rates are from),
whether a value, or being known at all, nearly always means default, and whether its dates lie behind the row's month.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.rows.table import FeatureTable

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

PUBLIC = "leak: a column or more of the bank all but is the label, or is known only after it; see the log of the bank"
"""What others hear: that there is such a column."""

_RANKS = 0.95  # AUC of one column, from which on it is no feature any more: the best ones of real scorecards have 0.8
_PURE = 0.95  # share of defaults among rows, from which on these rows are told apart by the label itself
_RECALL = 0.2  # of the defaults, in such rows
_FEWEST = 20  # rows of each class, below which nothing is said
_BINS = 20
_MOST = 200_000  # rows that are looked at
_LATER = 0.01  # of the rows, whose date lies behind their month


def find(table: FeatureTable, aside: Mapping[str, Values] | None = None, label: Values | None = None) -> tuple[str, ...]:
    """What is to be said of each suspicious column, by name. aside: columns that are no features, as days or as known or not.

    label: (n,) 0, 1 or NaN; by default the table's.
    """
    label = table.label if label is None else label
    if label is None:
        return ()
    known = _some(np.flatnonzero(~np.isnan(label)))
    bad = label[known] == 1
    if min(bad.sum(), (~bad).sum()) < _FEWEST:
        return ()
    found = []
    for name, groups, missing in _columns(table, aside or {}, known):
        if (said := _suspicion(groups, missing, bad)) is not None:
            found.append(f"column {name!r} {said}: is it known before the outcome? If not, leave it out")
    if table.periods is not None:
        found += [_late(name) for name, days in (aside or {}).items() if _is_late(days, table.periods)]
    return tuple(dict.fromkeys(found))


def _some(rows: Codes) -> Codes:
    """As many of the rows as tell enough, drawn at random, in their order."""
    if len(rows) <= _MOST:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, _MOST, replace=False))  # no secret: which rows are looked at


def _columns(table: FeatureTable, aside: Mapping[str, Values], known: Codes) -> Iterator[tuple[str, Codes, Any]]:
    """(name, the group of each row whose label is known, whether its value is missing)."""
    for name in table.order:
        if name in table.numeric:
            yield name, *_binned(np.asarray(table.numeric[name][known], np.float64))
        else:
            codes, _ = pd.factorize(np.asarray(table.categorical[name])[known])
            yield name, np.minimum(codes, 4 * _BINS).astype(np.int64) + 1, codes < 0
    for name, values in aside.items():
        yield name, *_binned(values[known])


def _binned(values: Values) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Groups from 1 of equal values, or of equally many; 0 is missing."""
    missing = np.isnan(values)
    present = values[~missing]
    first = np.unique(present[:10_000], return_counts=True)
    levels = first[0] if len(first[0]) > _BINS else np.unique(present)
    if len(levels) > _BINS:
        levels = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1]))
        common = first[0][first[1].argmax()]
        groups = np.searchsorted(levels, values, side="right") + 2
        groups[values == common] = 1  # of a value that most rows have, the others are told apart
    else:
        groups = np.searchsorted(levels, values) + 1
    groups[missing] = 0
    return groups.astype(np.int64), missing


def _suspicion(groups: Codes, missing: npt.NDArray[np.bool_], bad: npt.NDArray[np.bool_]) -> str | None:
    if _tells(missing, bad):
        return "is missing where the label is 1"
    if _tells(~missing, bad):
        return "is known only where the label is 1"
    if (auc := _auc_apart(groups, bad)) >= _RANKS:
        return "is the label" if _same(groups, bad) else f"all but is the label: by itself it ranks it with an AUC of {auc:.2f}"
    counts = np.bincount(groups)
    often = int(counts.argmax())
    if counts[often] >= 0.5 * len(groups) and _tells((groups != often) & ~missing, bad):
        return "has another value than most only where the label is 1"
    return None


def _tells(group: npt.NDArray[np.bool_], bad: npt.NDArray[np.bool_]) -> bool:
    """Whether these rows are nearly all defaults, a good part of those, and defaults are not the rule."""
    inside = int((group & bad).sum())
    rows = int(group.sum())
    return bool(_FEWEST <= rows < len(bad) and inside >= _PURE * rows and inside >= _RECALL * bad.sum() and bad.mean() <= 0.5)


def _same(groups: Codes, bad: npt.NDArray[np.bool_]) -> bool:
    """Whether each group is all of one class."""
    share = np.bincount(groups, weights=bad) / np.maximum(np.bincount(groups), 1)
    return bool(np.isin(share, (0.0, 1.0)).all())


def _auc_apart(groups: Codes, bad: npt.NDArray[np.bool_]) -> float:
    """The AUC of the groups' rates of default, each half of the rows ranked by the rates of the other half."""
    size = int(groups.max()) + 1
    a, b = (np.bincount(2 * groups[part] + bad[part], minlength=2 * size).reshape(size, 2) for part in _halves(len(bad)))
    return min(_auc(_rates(a), b), _auc(_rates(b), a))


@functools.lru_cache(maxsize=1)
def _halves(rows: int) -> tuple[Codes, Codes]:
    """Two disjoint halves of so many rows, the same at each call."""
    order = np.random.default_rng(0).permutation(rows)  # no secret: which rows check which
    return order[: rows // 2], order[rows // 2 :]


def _rates(counts: Codes) -> Values:
    """The rate of default of each group, drawn a little to that of all. counts: (groups, 2), goods and bads."""
    rows, bads = counts.sum(1), counts[:, 1]
    return np.asarray((bads + bads.sum() / max(rows.sum(), 1)) / (rows + 1), np.float64)


def _auc(score: Values, counts: Codes) -> float:
    """Of groups of rows that have a score each. counts: (groups, 2), goods and bads."""
    _, place = np.unique(score, return_inverse=True)
    goods, bads = (np.bincount(place, weights=counts[:, k]) for k in (0, 1))
    if not bads.sum() or not goods.sum():
        return 0.5
    below = np.cumsum(goods) - goods
    return float((bads * (below + goods / 2)).sum() / (bads.sum() * goods.sum()))


def _is_late(days: Values, periods: npt.NDArray[np.int32]) -> bool:
    known = ~np.isnan(days) & (days != 0)
    if not known.any():
        return False
    months = days[known].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12
    late = months > periods[known]
    return bool(late.sum() >= max(_FEWEST, _LATER * len(days)))


def _late(name: str) -> str:
    return f"column {name!r} holds dates after the month of their row: what is known only later is no feature"
