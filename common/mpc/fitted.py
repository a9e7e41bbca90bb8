"""Least squares in whole numbers: public coefficients that both parties reach to the last bit. PROTOCOL.md section 5.

A library's solver ends in other last bits on another processor, and factors made of them would then differ.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from common.mpc.circle import GUARD, Turns, unit_circle
from common.mpc.fixedpoint import Reals

POINTS = 4096  # intervals of the grid on which fits are made
_BITS = 24  # of a value of the basis: products of two over the grid's points stay below 2^63


def waves(terms: int, numerator: int, log2_denominator: int, stride: int = 1) -> Reals:
    """Of 2 pi k i times numerator / 2^log2_denominator, i = 0 .. POINTS, `terms` k from 1 on: (2, POINTS + 1, terms)."""
    multiples = np.arange(1, stride * terms + 1, stride, dtype=np.uint64)
    steps = np.outer(np.arange(POINTS + 1, dtype=np.uint64), multiples)
    turns: Turns = (steps * np.uint64(numerator << (32 - log2_denominator))).astype(np.uint32)
    return unit_circle(turns)


@lru_cache
def half_tanh(length: int, parts: int) -> Reals:
    """tanh(u / 2) / 2 at u = i length / parts, i = 0 .. POINTS, each rounded to the nearest double."""
    one = 1 << GUARD
    step = one  # of exp(-length / parts), by its series
    term, k = one, 0
    while term:
        k += 1
        term = term * length // (k * parts)
        step += term if k % 2 == 0 else -term
    found, power = [], one
    for _ in range(POINTS + 1):
        found.append((one - power) / (2 * (one + power)))
        power = power * step >> GUARD
    return np.array(found)


def least_squares(basis: Reals, target: Reals, penalty: float = 0.0) -> tuple[float, ...]:
    """Coefficients x, (m,), of least |basis x - target|^2 + penalty |x|^2; basis: (n, m), n up to 8,192, rounded to 24 bits."""
    columns, by_columns = _whole(basis)
    aims, by_aims = _whole(target)
    products = [[int(value) << GUARD for value in row] for row in _times(columns, columns)]
    right = [int(value) << GUARD for value in _times(aims[:, None], columns)[0]]
    extra = int(penalty * 2.0 ** (2 * by_columns) * 2.0**60) << (GUARD - 60)
    for k, row in enumerate(products):
        row[k] += extra
    solved = _solve(products, right)
    return tuple(value / (1 << GUARD) * 2.0 ** (by_columns - by_aims) for value in solved)


def _times(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """one.T @ other of numbers that `_whole` gives: float64 adds up exactly what one half of 12 bits and a whole one make."""
    upper, lower = one >> (_BITS // 2), one & ((1 << (_BITS // 2)) - 1)
    parts = [(half.T.astype(np.float64) @ other.astype(np.float64)).astype(np.int64) for half in (upper, lower)]
    return (parts[0] << (_BITS // 2)) + parts[1]


def _whole(values: Reals) -> tuple[npt.NDArray[np.int64], int]:
    """Values times a power of two, rounded, so that all are below 2^24; and that power."""
    scale = _BITS - math.frexp(float(np.abs(values).max()))[1]
    return np.rint(values * 2.0**scale).astype(np.int64), scale


def _solve(matrix: list[list[int]], right: list[int]) -> list[int]:
    """x of matrix x = right times 2^-GUARD each, by elimination; the matrix is symmetric and positive definite."""
    size = len(right)
    upper = [row[k:] for k, row in enumerate(matrix)]  # the rest follows by symmetry, and stays so
    for k, (pivot, *rest) in enumerate(upper):
        for i, value in enumerate(rest):
            ratio, at = (value << GUARD) // pivot, k + 1 + i
            upper[at] = [below - (ratio * above >> GUARD) for below, above in zip(upper[at], rest[i:], strict=True)]
            right[at] -= ratio * right[k] >> GUARD
    found = [0] * size
    for k in reversed(range(size)):
        pivot, *rest = upper[k]
        left = right[k] - sum(above * x >> GUARD for above, x in zip(rest, found[k + 1 :], strict=True))
        found[k] = (left << GUARD) // pivot
    return found
