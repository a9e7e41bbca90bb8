"""Matrices of words modulo 2^128, of which a shared value fills so little that what is opened of it masked has not wrapped.

The last axis is of two words, the low one first. Products are of limbs of 16 bits, which float64 adds up exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words

Doubles = npt.NDArray[np.uint64]
"""Values modulo 2^128, (..., 2)."""

_LIMB, _LIMBS = 16, 8
_AT_ONCE = 1 << 9  # terms of a sum: eight times as many products below 2^32 are far below 2^53
_WORD = np.uint64(64)


def unsigned(words: Words) -> Doubles:
    """The same numbers, of words read as unsigned."""
    return np.stack([words, np.zeros_like(words)], axis=-1)


def signed(words: Words) -> Doubles:
    """The same numbers, of words read as signed."""
    return np.stack([words, -(words >> np.uint64(63))], axis=-1)


def add(a: Doubles, b: Doubles) -> Doubles:
    low = a[..., 0] + b[..., 0]
    return np.stack([low, a[..., 1] + b[..., 1] + (low < b[..., 0])], axis=-1)


def negative(a: Doubles) -> Doubles:
    high = ~a[..., 1]
    return np.stack([-a[..., 0], high + (a[..., 0] == 0)], axis=-1)


def subtract(a: Doubles, b: Doubles) -> Doubles:
    return add(a, negative(b))


def left(a: Doubles, shift: int) -> Doubles:
    """a times 2^shift, for a shift of 1 to 63 bits."""
    s = np.uint64(shift)
    return np.stack([a[..., 0] << s, a[..., 1] << s | a[..., 0] >> _WORD - s], axis=-1)


def right(a: Doubles, shift: int) -> Doubles:
    """a, read as unsigned, without so many low bits, from 1 to 63."""
    s = np.uint64(shift)
    return np.stack([a[..., 0] >> s | a[..., 1] << _WORD - s, a[..., 1] >> s], axis=-1)


def product(a: Doubles, b: Doubles) -> Doubles:
    """A B, (i, j), of A (i, k) and B (k, j)."""
    found: Doubles = np.zeros((a.shape[0], b.shape[1], 2), np.uint64)
    for low in range(0, a.shape[1], _AT_ONCE):
        part = slice(low, low + _AT_ONCE)
        # A's limbs in their order beside B's in the reverse: the products of one weight are one product of what stands there
        ours, theirs = _limbs(a[:, part]), _limbs(b[part])[::-1]
        terms = theirs.shape[1]
        lines, columns = np.hstack(list(ours)), theirs.reshape(_LIMBS * terms, -1)
        for place in range(_LIMBS):
            sums = lines[:, : (place + 1) * terms] @ columns[(_LIMBS - 1 - place) * terms :]
            found = add(found, _placed(sums.astype(np.uint64), _LIMB * place))
    return found


def times(a: Doubles, factor: np.uint64) -> Doubles:
    """a times a word."""
    shape = a.shape
    return product(a.reshape(-1, 1, 2), unsigned(np.array([[factor]], np.uint64))).reshape(shape)


def _limbs(a: Doubles) -> npt.NDArray[np.float64]:
    """(8, i, k)."""
    limbs = np.ascontiguousarray(a).astype("<u8", copy=False).view("<u2")
    return np.ascontiguousarray(np.moveaxis(limbs, -1, 0), np.float64)


def _placed(sums: Words, shift: int) -> Doubles:
    if not shift:
        return unsigned(sums)
    if shift < 64:
        return left(unsigned(sums), shift)
    return np.stack([np.zeros_like(sums), sums << np.uint64(shift - 64)], axis=-1)
