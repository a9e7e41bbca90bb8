"""Do counts over the bins of several columns combine to a count over few rows? Found as a drop in rank.

Of binned columns a sum of one number for each bin is a function of rows; if counts of labels by bin are known, so is that
function's sum over the rows labelled 1. A function that is zero on all but a few rows is therefore a count over those. On rows
that avoid the few, such a function is zero, so that the bins' indicators have less than full rank there: random rows, one of
each bin, are tried until a function that vanishes on them shows itself. It may combine any columns, with any coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.features.bins import Codes

Reals = npt.NDArray[np.float64]

TRIALS = 40
_ZERO = 1e-6  # of sums of small whole numbers, solved for in double precision
_BLOCK = 1 << 14


@dataclass(frozen=True)
class Isolated:
    """Rows that a combination of columns singles out. columns: places of those that take part, rising."""

    rows: int
    columns: tuple[int, ...]


def find_isolated(codes: Sequence[Codes], least: int, draw: np.random.Generator | None = None) -> Isolated | None:
    """A combination that is not zero in 1 to least - 1 rows, or None where none was found.

    codes: for each column the bin of each row, (n,), from 0. One that singles out rows R is found in a trial with
    probability of about the product over all bins of 1 - |R in bin| / |bin|: nearly 1 for a few rows.
    """
    bins, draw = _Bins.of(codes), draw or np.random.default_rng()
    for _ in range(TRIALS):
        function = bins.vanishing(draw)
        if function is not None and 0 < (rows := bins.support(function, least)) < least:
            return Isolated(rows, tuple(sorted({bins.columns[k] for k in np.flatnonzero(np.abs(function[1:]) > _ZERO)})))
    return None


@dataclass(frozen=True, repr=False)
class _Bins:
    """Functions as coefficients: first of 1, then of the indicators of these bins, which are independent.

    columns, values: (m,) column and bin of each. places: for each bin of each column the rows in it.
    """

    codes: Codes  # (columns, n)
    columns: tuple[int, ...]
    values: tuple[int, ...]
    places: tuple[npt.NDArray[np.intp], ...]

    @classmethod
    def of(cls, codes: Sequence[Codes]) -> _Bins:
        sizes = [np.bincount(code) for code in codes]
        places = [part for code, size in zip(codes, sizes, strict=True) for part in _rows_of(code, size)]
        pairs = [(j, v) for j, size in enumerate(sizes) for v in np.flatnonzero(size).tolist() if v != int(size.argmax())]
        table = np.stack(codes)
        whole = cls(table, tuple(j for j, _ in pairs), tuple(v for _, v in pairs), tuple(places))
        kept = [pairs[k - 1] for k in _independent(whole._products()) if k]
        return cls(table, tuple(j for j, _ in kept), tuple(v for _, v in kept), tuple(places))

    def matrix(self, rows: npt.NDArray[np.intp] | slice) -> Reals:
        """The functions at these rows, (rows, 1 + m)."""
        codes = self.codes[:, rows]
        out = np.ones((1 + len(self.columns), codes.shape[1]))
        out[1:] = codes[list(self.columns)] == np.array(self.values)[:, None]
        return out.T

    def _products(self) -> Reals:
        total = np.zeros((1 + len(self.columns),) * 2)
        for low in range(0, self.codes.shape[1], _BLOCK):
            part = self.matrix(slice(low, low + _BLOCK))
            total += part.T @ part
        return total

    def vanishing(self, draw: np.random.Generator) -> Reals | None:
        """A function, largest coefficient 1, that is zero on a random row of each bin, and on more until it is the only one."""
        rows = np.array([part[draw.integers(len(part))] for part in self.places])
        chosen = self.matrix(rows)
        if len(_independent(products := chosen.T @ chosen)) == len(products):
            return None
        values, vectors = np.linalg.eigh(products)
        free: Reals = vectors[:, values < _ZERO**2 * len(chosen)]
        while free.shape[1] > 1:
            row = self.matrix(np.array([draw.integers(self.codes.shape[1])])) @ free
            if np.abs(row).max() > _ZERO:
                free = free @ np.linalg.svd(row)[2][1:].T
        return free[:, 0] / np.abs(free).max() if free.size else None

    def support(self, function: Reals, enough: int) -> int:
        """In how many rows it is not zero; no more are looked at once there are `enough`."""
        found = 0
        steps = [self._of(function, j) for j in range(len(self.codes))]
        for low in range(0, self.codes.shape[1], _BLOCK):
            part = self.codes[:, low : low + _BLOCK]
            values = function[0] + np.sum([step[code] for step, code in zip(steps, part, strict=True)], axis=0)
            found += int(np.count_nonzero(np.abs(values) > _ZERO))
            if found >= enough:
                break
        return found

    def _of(self, function: Reals, column: int) -> Reals:
        """Its part in one column, by bin."""
        out = np.zeros(int(self.codes[column].max()) + 1)
        for k, (j, v) in enumerate(zip(self.columns, self.values, strict=True)):
            if j == column:
                out[v] = function[1 + k]
        return out


def _rows_of(code: Codes, sizes: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    order = np.argsort(code, kind="stable")
    return [part for part in np.split(order, np.cumsum(sizes)[:-1]) if len(part)]


def _independent(products: Reals) -> list[int]:
    """Places of rows that no rows before them add up to, by the steps of a Cholesky factor."""
    with suppress(np.linalg.LinAlgError):
        if np.diag(np.linalg.cholesky(products)).min() > np.sqrt(_ZERO * len(products)):
            return list(range(len(products)))
    residual, kept = products.copy(), []
    for k in range(len(products)):
        if residual[k, k] > _ZERO * len(products):
            kept.append(k)
            step = residual[k + 1 :, k] / np.sqrt(residual[k, k])
            residual[k + 1 :, k + 1 :] -= np.outer(step, step)
    return kept
