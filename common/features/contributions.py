"""What each column adds to a row's log-odds, by group of columns, and the strongest of these against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint16]

FEW = 64  # rows that are asked for one by one: numpy takes as long for a column of one as for one of a thousand
_ALONE = 4  # rows of which even one call of numpy for all takes longer than floats of Python
_BLOCK = 1 << 14  # rows at a time, so that a block stays in the cache


def contributions(matrix: Vector, weights: Vector, means: Vector, groups: Sequence[int | None], count: int) -> Vector:
    """weight (x - mean) summed by group, (n, count), in log-odds; a column of group None counts nowhere."""
    out = np.zeros((len(matrix), count), np.float64, order="F")
    if len(matrix) <= _ALONE:
        each = slice(len(groups))
        for place, row in enumerate(((matrix[:, each] - means[each]) * np.asarray(weights)[each]).tolist()):
            sums = [0.0] * count
            for value, group in zip(row, groups, strict=True):
                if group is not None:
                    sums[group] += value
            out[place] = sums
        return out
    if len(matrix) <= FEW:
        of = {j: group for j, group in enumerate(groups) if group is not None}
        at = list(of)
        np.add.at(out.T, list(of.values()), ((matrix[:, at] - means[at]) * np.asarray(weights)[at]).T)
        return out
    for j, group in enumerate(groups):
        if group is not None:
            out[:, group] += (matrix[:, j] - means[j]) * weights[j]
    return out


def strongest(contributions: Vector, most: int, threshold: float) -> Codes:
    """Codes (n, most): 1 + the groups that raise u by more than `threshold` log-odds, strongest first; 0 for none.

    contributions: weight (x - mean) by group, (n, groups); of equal ones the first group counts as stronger.
    """
    rows, groups = contributions.shape
    codes = np.zeros((rows, most), np.uint16)
    if rows <= _ALONE:
        for place, row in enumerate(contributions.tolist()):
            first = sorted(range(groups), key=row.__getitem__, reverse=True)[:most]  # equal ones stay in their order
            codes[place, : len(first)] = [k + 1 if row[k] > threshold else 0 for k in first]
        return codes
    for low in range(0, rows, _BLOCK) if groups else ():
        left = contributions[low : low + _BLOCK].copy(order="C")
        at = np.arange(len(left))
        for k in range(min(most, groups)):
            best = left.argmax(axis=1)
            codes[low : low + _BLOCK, k] = np.where(left[at, best] > threshold, best + 1, 0)
            left[at, best] = -np.inf
    return codes


def grouped(sources: Sequence[str], texts: Mapping[str, str | None]) -> tuple[list[int | None], tuple[str, ...]]:
    """(group of each prepared column, texts of the groups): columns of one text are one group, without text of none."""
    named = tuple(dict.fromkeys(text for source in sources if (text := texts.get(source)) is not None))
    place = {text: k for k, text in enumerate(named)}
    return [None if (text := texts.get(source)) is None else place[text] for source in sources], named
