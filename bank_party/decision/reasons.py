"""The strongest contributions against an applicant, as codes and as text. Both parties choose theirs by the same rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Vector = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint16]

SEPARATOR = "; "
_BLOCK = 1 << 14  # rows at a time, so that a block stays in the cache


def strongest(contributions: Vector, most: int, threshold: float) -> Codes:
    """Codes (n, most): 1 + the groups that raise u by more than `threshold` log-odds, strongest first; 0 for none.

    contributions: weight (x - mean) by group, (n, groups); of equal ones the first group counts as stronger.
    """
    rows, groups = contributions.shape
    codes = np.zeros((rows, most), np.uint16)
    for low in range(0, rows, _BLOCK) if groups else ():
        left = contributions[low : low + _BLOCK].copy(order="C")
        at = np.arange(len(left))
        for k in range(min(most, groups)):
            best = left.argmax(axis=1)
            codes[low : low + _BLOCK, k] = np.where(left[at, best] > threshold, best + 1, 0)
            left[at, best] = -np.inf
    return codes


def describe(codes: Codes, texts: Sequence[str]) -> pa.DictionaryArray:
    """One text a row, (n,): the reasons of its codes in order; each combination is spelled once."""
    if not codes.shape[1]:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(codes), np.int32)), pa.array([""]))
    key = np.zeros(len(codes), np.int64)
    for k in range(codes.shape[1]):  # one at a time: the key stays below the number of rows, and cannot overflow
        _, key = np.unique((key << 16) + codes[:, k], return_inverse=True)
    _, first = np.unique(key, return_index=True)
    spelled = [SEPARATOR.join(texts[code - 1] for code in row if code) for row in codes[first].tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(key.astype(np.int32)), pa.array(spelled, pa.string()))


def grouped(sources: Sequence[str], texts: Mapping[str, str | None]) -> tuple[list[int | None], tuple[str, ...]]:
    """(group of each prepared column, texts of the groups): columns of one text are one group, without text of none."""
    named = tuple(dict.fromkeys(text for source in sources if (text := texts.get(source)) is not None))
    place = {text: k for k, text in enumerate(named)}
    return [None if (text := texts.get(source)) is None else place[text] for source in sources], named
