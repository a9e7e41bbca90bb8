"""Reasons of a decision as text: the strongest contributions against an applicant, spelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from common.features.contributions import FEW, Codes

SEPARATOR = "; "


def describe(codes: Codes, texts: Sequence[str]) -> pa.DictionaryArray:
    """One text a row, (n,): the reasons of its codes in order; each combination is spelled once."""
    if not codes.shape[1]:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(codes), np.int32)), pa.array([""]))
    if len(codes) <= FEW:
        return pa.array([_spelled(row, texts) for row in codes.tolist()], pa.string()).dictionary_encode()
    key = np.zeros(len(codes), np.int64)
    for k in range(codes.shape[1]):  # one at a time: the key stays below the number of rows, and cannot overflow
        _, key = np.unique((key << 16) + codes[:, k], return_inverse=True)
    _, first = np.unique(key, return_index=True)
    spelled = [_spelled(row, texts) for row in codes[first].tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(key.astype(np.int32)), pa.array(spelled, pa.string()))


def _spelled(codes: Sequence[int], texts: Sequence[str]) -> str:
    return SEPARATOR.join(texts[code - 1] for code in codes if code)
