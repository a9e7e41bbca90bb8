"""Grades: bands of the written score, cut on validation rows, the observed rate rising from grade to grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from common.config import StrictModel

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.int32]


class Part(StrictModel):
    """Rows of a grade in one part of the held-out rows; rates are None where there is no row."""

    rows: int
    observed: float | None
    expected: float | None


class Grade(StrictModel):
    """Scores from `low` to `high`, both included; None has no bound. 1 is the best."""

    grade: int
    low: int | None
    high: int | None
    validation: Part
    test: Part


def cut(score: Scores, y: Vector, count: int, least: int) -> tuple[int, ...]:
    """The lowest score of each grade but the last, falling, at most count - 1 of them.

    Bands of equal numbers of rows; neighbours are merged where the observed rate does not rise from the better to the
    worse, and then, while one holds fewer than `least` rows, with the neighbour of the closest rate.
    """
    ordered = np.sort(score)
    lows = {int(ordered[min(len(score) - 1, -(-len(score) * k // count))]) for k in range(1, count)}
    starts = [low for low in sorted(lows, reverse=True) if low > ordered[0]]
    band = np.searchsorted(-np.array(starts, np.int64), -score.astype(np.int64), side="left")
    rows = np.bincount(band, minlength=len(starts) + 1)
    bad = np.bincount(band, weights=y, minlength=len(starts) + 1)
    pools: list[_Pool] = []
    for pool in map(_Pool, rows.tolist(), bad.tolist(), [*starts, None]):
        pools.append(pool)
        while len(pools) > 1 and pools[-2].rate >= pools[-1].rate:
            _merge(pools, len(pools) - 2)
    while len(pools) > 1 and pools[small := min(range(len(pools)), key=lambda k: pools[k].rows)].rows < least:
        _merge(pools, _nearest(pools, small))
    return tuple(pool.low for pool in pools if pool.low is not None)


@dataclass(frozen=True)
class _Pool:
    """Neighbouring bands: rows, how many overdue, the lowest score (None for the worst band, which has no bound)."""

    rows: int
    bad: float
    low: int | None

    @property
    def rate(self) -> Fraction:
        return Fraction(int(self.bad), self.rows)


def _nearest(pools: list[_Pool], small: int) -> int:
    """The better one of `small` and that neighbour whose rate is closest."""
    pairs = [k for k in (small - 1, small) if 0 <= k < len(pools) - 1]
    return min(pairs, key=lambda k: pools[k + 1].rate - pools[k].rate)


def _merge(pools: list[_Pool], better: int) -> None:
    one, two = pools[better : better + 2]
    pools[better : better + 2] = [_Pool(one.rows + two.rows, one.bad + two.bad, two.low)]


def grade_of(score: Scores, starts: Sequence[int]) -> npt.NDArray[np.int32]:
    """The grade of each row, (n,), from 1."""
    falling = -np.array(starts, np.int64)
    return (np.searchsorted(falling, -score.astype(np.int64), side="left") + 1).astype(np.int32)


def describe(score: Scores, p: Vector, y: Vector, validation: Mask, starts: Sequence[int]) -> tuple[Grade, ...]:
    """Each grade with what both parts of the held-out rows (n,) show of it."""
    grade = grade_of(score, starts)
    highs = [None, *(start - 1 for start in starts)]
    lows = [*starts, None]
    return tuple(
        Grade(
            grade=k,
            low=low,
            high=high,
            validation=_part(p, y, (grade == k) & validation),
            test=_part(p, y, (grade == k) & ~validation),
        )
        for k, (low, high) in enumerate(zip(lows, highs, strict=True), start=1)
    )


def _part(p: Vector, y: Vector, inside: Mask) -> Part:
    count = int(inside.sum())
    return Part(
        rows=count,
        observed=float(y[inside].mean()) if count else None,
        expected=float(p[inside].mean()) if count else None,
    )
