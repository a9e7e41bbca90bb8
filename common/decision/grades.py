"""Grades: bands of the written score, cut on validation rows, the observed rate rising from grade to grade."""

from __future__ import annotations

from collections.abc import Sequence

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

    Bands of equal numbers of rows; neighbours are merged while one holds fewer than `least` rows, or the observed rate
    does not rise from the better to the worse.
    """
    ordered = np.sort(score)
    lows = {int(ordered[min(len(score) - 1, -(-len(score) * k // count))]) for k in range(1, count)}
    starts = [low for low in sorted(lows, reverse=True) if low > ordered[0]]
    band = np.searchsorted(-np.array(starts, np.int64), -score.astype(np.int64), side="left")
    rows = np.bincount(band, minlength=len(starts) + 1)
    bad = np.bincount(band, weights=y, minlength=len(starts) + 1)
    pools: list[tuple[int, float, int | None]] = []  # rows, overdue, lowest score
    for n, k, start in zip(rows.tolist(), bad.tolist(), [*starts, None], strict=True):
        pools.append((n, k, start))
        while len(pools) > 1 and _merges(pools[-2], pools[-1], least):
            worse, better = pools.pop(), pools.pop()
            pools.append((better[0] + worse[0], better[1] + worse[1], worse[2]))
    return tuple(start for _, _, start in pools[:-1] if start is not None)


def _merges(better: tuple[int, float, int | None], worse: tuple[int, float, int | None], least: int) -> bool:
    return min(better[0], worse[0]) < least or better[1] * worse[0] >= worse[1] * better[0]


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


def _part(p: Vector, y: Vector, rows: Mask) -> Part:
    count = int(rows.sum())
    return Part(
        rows=count,
        observed=float(y[rows].mean()) if count else None,
        expected=float(p[rows].mean()) if count else None,
    )
