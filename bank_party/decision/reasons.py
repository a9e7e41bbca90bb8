"""Reasons of a decision as text: the strongest contributions against an applicant, spelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from common.features.contributions import Codes

SEPARATOR = "; "


def describe(codes: Codes, texts: Sequence[str]) -> pa.DictionaryArray:
    """One text a row, (n,): the reasons of its codes in order; each combination is spelled once."""
    if not codes.shape[1]:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(codes), np.int32)), pa.array([""]))
    key = np.zeros(len(codes), np.int64)
    for k in range(codes.shape[1]):  # one at a time: the key stays below the number of rows, and cannot overflow
        _, key = np.unique((key << 16) + codes[:, k], return_inverse=True)
    _, first = np.unique(key, return_index=True)
    return pa.DictionaryArray.from_arrays(pa.array(key.astype(np.int32)), pa.array(spelled(codes[first], texts), pa.string()))


def spelled(codes: Codes, texts: Sequence[str]) -> list[str]:
    """The same as a list, (n,), each row by itself."""
    return [SEPARATOR.join(texts[code - 1] for code in row if code) for row in codes.tolist()]
