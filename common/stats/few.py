"""What is not shown: cells and rates of so few rows that they would describe single ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEAST = 5  # rows of a cell that may be shown, and of either class behind a rate that may be

Counts = npt.NDArray[np.int64]


def hidden_cells(rows: Sequence[int]) -> npt.NDArray[np.bool_]:
    """The cells of one table that are not shown, (cells,): those of 1 to 4 rows.

    While fewer than 5 rows are hidden in all, the next larger cell is hidden too: a total less what is shown would tell of
    them.
    """
    counts = np.asarray(rows, np.int64)
    small = (counts > 0) & (counts < LEAST)
    while small.any() and counts[small].sum() < LEAST and (~small & (counts > 0)).any():
        small[np.where(small | (counts == 0), np.iinfo(np.int64).max, counts).argmin()] = True
    return small


def hidden_rates(bad: Counts, good: Counts) -> npt.NDArray[np.bool_]:
    """The rates of one table that are not shown, (cells,), by the overdue and other rows of each: fewer than 5 of a class.

    While all that is hidden is of fewer than 5 of a class together, the next larger one is hidden too: the month's rate less
    what is shown would tell of it.
    """
    fewer = np.minimum(bad, good)
    small = fewer < LEAST
    while small.any() and not small.all() and min(bad[small].sum(), good[small].sum()) < LEAST:
        small[np.where(small, np.iinfo(np.int64).max, fewer).argmin()] = True
    return small
