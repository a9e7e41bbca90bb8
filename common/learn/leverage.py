"""Columns that single out few rows are left out: by the weight of a column that is one company's, its label could be read.

The leverage of a row is |x|^2 / n of its whitened columns x, its entry on the diagonal of X (X^T X)^-1 X^T: how much of a
fitted value the row's own label makes. Leverages sum to the number of columns, and none exceeds 1. PROTOCOL.md section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.learn.whiten import gram, whitener

Reals = npt.NDArray[np.float64]

LARGEST = 0.2
"""Four times the mean leverage at the fewest rows a column that policies allow (20); a spike of one company has 0.99."""


@dataclass(frozen=True, repr=False)
class Kept:
    """Places of the columns kept, their whitening (k, k), and for each left out its place and its share of a row."""

    places: tuple[int, ...]
    whiten: Reals
    left_out: tuple[tuple[int, float], ...]


def without_leverage(
    parts: Callable[[], Iterable[Reals]], penalised: npt.NDArray[np.bool_], ridge: float, largest: float = LARGEST
) -> Kept:
    """The columns left once none gives a row a leverage above `largest`, by leaving out the one that gives it most of it.

    parts: the rows of X (n, m), in blocks, as often as they are asked for. penalised: (m,), False for an intercept, which
    stays. Raises RangeError as `gram` does. A column's share is of what the columns before it leave of it.
    """
    products, rows, longest = gram(parts(), len(penalised))
    kept, left_out = np.arange(len(penalised)), []
    while True:
        own = products[np.ix_(kept, kept)]
        whiten = whitener(own, penalised[kept], 0.0)  # the ridge would hide a spike, and a plan chooses it
        if longest * float(np.linalg.norm(whiten, 2)) ** 2 <= largest * rows or not penalised[kept].any():
            break  # no row can reach it, so that none is looked at
        shares = strongest((part[:, kept] @ whiten for part in parts()), len(kept)) / rows
        if shares.sum() <= largest:
            break
        place = int(np.where(penalised[kept], shares, -1.0).argmax())
        left_out.append((int(kept[place]), float(shares[place])))
        kept = np.delete(kept, place)
    return Kept(tuple(kept.tolist()), whitener(own, penalised[kept], ridge), tuple(left_out))


def strongest(parts: Iterable[Reals], columns: int) -> Reals:
    """The squares of the longest row, (columns,)."""
    longest, found = -1.0, np.zeros(columns)
    for part in parts:
        squares = part * part
        lengths = squares.sum(axis=1)
        row = int(lengths.argmax())
        if lengths[row] > longest:
            longest, found = float(lengths[row]), squares[row]
    return found
