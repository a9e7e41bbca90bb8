"""What is not shown: cells of so few rows that they would describe single ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEAST = 5  # rows of a cell that may be shown


def hidden(rows: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which cells of one table are not shown, (cells,): those of 1 to 4 rows, and while fewer than 5 rows are hidden in all,

    the next larger one too: a total less what is shown would tell of them.
    """
    counts = np.asarray(rows, np.int64)
    small = (counts > 0) & (counts < LEAST)
    while small.any() and counts[small].sum() < LEAST and (~small & (counts > 0)).any():
        small[np.where(small | (counts == 0), np.iinfo(np.int64).max, counts).argmin()] = True
    return small
