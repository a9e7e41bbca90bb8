"""Trailing windows over dense arrays: float64 (E, M), an enterprise a row, a month a column, missing as NaN.

The window of month t is of the months t - window + 1 to t; months before the first are missing. Nothing looks ahead: every
step reads a month itself or an earlier one. Sums are taken over the window's own months and never as a difference of
running totals, so a month outside the window leaves not even a rounding error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int32]
Scalar = TypeVar("Scalar", bound=np.generic)


def ago(values: npt.NDArray[Scalar], months: int, missing: float) -> npt.NDArray[Scalar]:
    """(E, M): each month's value is that of `months` earlier, `missing` where there is no such month."""
    if not months:
        return values
    result = np.full_like(values, missing)
    result[:, months:] = values[:, : max(0, values.shape[1] - months)]
    return result


def steps(values: npt.NDArray[Scalar], window: int) -> Iterator[tuple[int, slice, npt.NDArray[Scalar]]]:
    """(k, the months that have one k earlier, the values k earlier) for each k of the window."""
    months = values.shape[1]
    for k in range(min(window, months)):
        yield k, slice(k, None), values[:, : months - k]


def count(events: Mask, window: int) -> Counts:
    """How many months of the window are marked."""
    result = np.zeros(events.shape, np.int32)
    for _, months, earlier in steps(events, window):
        result[:, months] += earlier
    return result


def total(values: Values, window: int) -> Values:
    """The sum of the known values, 0.0 of none."""
    result = np.zeros_like(values)
    for _, months, earlier in steps(np.where(np.isnan(values), 0.0, values), window):
        result[:, months] += earlier
    return result


def mean(values: Values, window: int, least: int) -> Values:
    """The mean of the known values; missing where fewer than `least` (from 1) are known."""
    known = count(~np.isnan(values), window)
    return require(total(values, window) / np.maximum(known, 1), known, least)


def largest(values: Values, window: int) -> Values:
    """The largest known value, NaN of none."""
    result = values.copy()
    for _, months, earlier in steps(values, window):
        np.fmax(result[:, months], earlier, out=result[:, months])
    return result


def deviation(values: Values, window: int, least: int) -> Values:
    """The standard deviation (divided by n) of the known values; missing where fewer than `least` are known."""
    centre = mean(values, window, 1)
    squares = np.zeros_like(values)
    for _, months, earlier in steps(values, window):
        apart = earlier - centre[:, months]
        squares[:, months] += np.where(np.isnan(apart), 0.0, apart * apart)
    known = count(~np.isnan(values), window)
    return require(np.sqrt(squares / np.maximum(known, 1)), known, least)


def slope(values: Values, window: int, least: int) -> Values:
    """The least-squares slope over the known months, a month; missing where fewer than `least` (from 2) are known."""
    present = ~np.isnan(values)
    known, age = count(present, window), np.zeros(values.shape)
    for k, months, earlier in steps(present, window):
        age[:, months] += k * earlier
    age /= np.maximum(known, 1)
    centre = mean(values, window, 1)
    cross, squares = np.zeros_like(values), np.zeros_like(values)
    for k, months, earlier in steps(values, window):
        time, apart = age[:, months] - k, earlier - centre[:, months]
        seen = ~np.isnan(apart)
        cross[:, months] += np.where(seen, time * apart, 0.0)
        squares[:, months] += np.where(seen, time * time, 0.0)
    return require(cross / np.where(squares > 0, squares, 1.0), known, least)


def since(events: Mask, window: int) -> Counts:
    """Months since the last marked one, 0 for the month itself; `window` if none of the window is marked."""
    result = np.full(events.shape, window, np.int32)
    for k, months, earlier in reversed(list(steps(events, window))):
        result[:, months][earlier] = k
    return result


def latest(values: npt.NDArray[Scalar], window: int, known: Mask) -> npt.NDArray[Scalar]:
    """The last known value of the window; the month's own, whatever it is, where none is known."""
    result, found = values.copy(), known.copy()
    for k, months, earlier in steps(values, window):
        here = known[:, : values.shape[1] - k] & ~found[:, months]
        result[:, months][here] = earlier[here]
        found[:, months] |= here
    return result


def carried(values: npt.NDArray[Scalar], known: Mask) -> npt.NDArray[Scalar]:
    """The last known value up to and including each month; the month's own, whatever it is, where none is known."""
    months = np.where(known, np.arange(values.shape[1]), 0)
    np.maximum.accumulate(months, axis=1, out=months)
    return np.take_along_axis(values, months, axis=1)


def require(values: Values, known: Counts, least: int) -> Values:
    """`values`, in place, missing where fewer than `least` months are known."""
    values[known < least] = np.nan
    return values
