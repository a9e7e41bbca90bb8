"""A share with its interval, of rows that come in groups: months of one enterprise are not independent."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_Z95 = 1.959963984540054


def error_of(low: float, high: float) -> float:
    """The standard error that a 95 % interval is made of, or would be by a normal distribution."""
    return (high - low) / (2 * _Z95)


def interval(y: npt.NDArray[np.float64], who: npt.NDArray[np.intp]) -> tuple[float, float]:
    """95 % of the share of ones in y, (n,) of 0 and 1; who: the group of each row, from 0.

    Wilson's, of as many rows as would be as uncertain if they were independent, and of no more than there are (Korn and
    Graubard 1998, with Wilson's in place of Clopper and Pearson's). Where every row is alike that is the number of groups.
    """
    n, groups = len(y), int(who.max()) + 1
    share = float(y.mean())
    spread = float(np.square(np.bincount(who, y - share, minlength=groups)).sum()) / n**2
    rows = min(n, share * (1 - share) / spread) if spread > 0 else len(np.unique(who))
    z = _Z95**2 / rows
    middle, half = (share + z / 2) / (1 + z), math.sqrt(z * (share * (1 - share) + z / 4)) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)
