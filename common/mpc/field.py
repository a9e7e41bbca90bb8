"""Arithmetic modulo the prime 2^31 - 1, in which a count is zero exactly if its product with a random factor is.

Elements are uint32 below P. Sums of two fit their word, and products fit uint64. PROTOCOL.md section 13.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.mpc.prg import Prg, Purpose

P = (1 << 31) - 1
Elements = npt.NDArray[np.uint32]

_P32, _P64 = np.uint32(P), np.uint64(P)
_HALF = np.uint64(16)
_LOW16 = np.uint64((1 << 16) - 1)
_CHUNK = 1 << 16  # terms of a sum of 31-bit times 16-bit numbers that a uint64 holds
_SPARE = 64  # words kept for those refused: each is with probability 2^-31


def reduced(values: npt.NDArray[np.uint64]) -> Elements:
    """uint64 modulo P."""
    return (values % _P64).astype(np.uint32)


def add(a: Elements, b: Elements) -> Elements:
    total = a + b
    result: Elements = np.minimum(total, total - _P32)  # below P the difference wraps and is the larger
    return result


def subtract(a: Elements, b: Elements) -> Elements:
    return add(a, _P32 - b)


def multiply(a: Elements, b: Elements) -> Elements:
    return reduced(a.astype(np.uint64) * b.astype(np.uint64))


def apply(matrix: Elements, vector: Elements) -> Elements:
    """matrix (k, n) @ vector (n,), (k,)."""
    total = np.zeros(len(matrix), np.uint32)
    for start in range(0, len(vector), _CHUNK):
        part = slice(start, start + _CHUNK)
        wide, factor = matrix[:, part].astype(np.uint64), vector[part].astype(np.uint64)
        low, high = reduced(wide @ (factor & _LOW16)), reduced(wide @ (factor >> _HALF))
        total = add(total, reduced(low + (high.astype(np.uint64) << _HALF)))
    return total


def elements(prg: Prg, purpose: Purpose, counter: int, count: int, below: int = P) -> Elements:
    """`count` elements uniform in [0, below), below > 2^30: 31 bits of each word, those not below refused: no bias at all.

    Refused ones are replaced by the next of 64 words kept for it; more are refused with probability below 2^-300.
    """
    drawn = prg.half_words(purpose, counter, count + _SPARE) & _P32
    kept, spare = drawn[:count], drawn[count:]
    refused = np.flatnonzero(kept >= below)
    kept[refused] = spare[spare < below][: len(refused)]
    return kept
