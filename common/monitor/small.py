"""Which overdue rates are not shown: those that would tell of single enterprises, as `stats.few` does for cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEAST = 5  # rows of each class behind a rate that is shown

Counts = npt.NDArray[np.int64]


def hidden(bad: Counts, good: Counts) -> npt.NDArray[np.bool_]:
    """Of the rates of one table's cells, overdue and other rows (cells,): those of fewer than 5 rows of either class, and while

    all that is hidden is of fewer together, the next larger one too: the month's rate less what is shown would tell of it.
    """
    fewer = np.minimum(bad, good)
    small = fewer < LEAST
    while small.any() and not small.all() and min(bad[small].sum(), good[small].sum()) < LEAST:
        small[np.where(small, np.iinfo(np.int64).max, fewer).argmin()] = True
    return small
