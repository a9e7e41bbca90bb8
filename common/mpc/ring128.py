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
_LINES, _COLUMNS, _TILE = 32, 64, 1 << 18
"""Floats are multiplied in pieces of so many products, which OpenBLAS does in the thread that asks: its other threads wait by
turning round, which on busy processors takes twenty times what is computed."""
_MOST_TERMS = 1 << 12  # of a sum, so that two of them side by side are below 2^64
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
    (i, k), j = a.shape[:2], b.shape[1]
    if k > _MOST_TERMS:
        return add(product(a[:, :_MOST_TERMS], b[:_MOST_TERMS]), product(a[:, _MOST_TERMS:], b[_MOST_TERMS:]))
    height, width = min(i, _LINES), min(j, _COLUMNS)
    lines, columns, terms = -(-i // height), -(-j // width), min(k, _TILE // (_LIMBS * height * width))
    sums = np.zeros((_LIMBS, lines, columns, height, width), np.uint64)
    for low in range(0, k, terms):
        part, count = slice(low, low + terms), min(terms, k - low)
        # A's limbs in their order beside B's in the reverse: the products of one weight are one product of what stands there
        ours, theirs = np.zeros((lines * height, _LIMBS, count)), np.zeros((_LIMBS, count, columns * width))
        ours[:i] = _limbs(a[:, part]).swapaxes(1, 2)
        theirs[:, :, :j] = _limbs(b[part])[..., ::-1].transpose(2, 0, 1)
        left_tiles = ours.reshape(lines, 1, height, _LIMBS * count)
        right_tiles = np.ascontiguousarray(theirs.reshape(_LIMBS * count, columns, width).swapaxes(0, 1))
        for place in range(_LIMBS):
            beside = (place + 1) * count
            sums[place] += (left_tiles[..., :beside] @ right_tiles[:, -beside:]).astype(np.uint64)
    return _joined(sums.swapaxes(2, 3).reshape(_LIMBS, lines * height, columns * width)[:, :i, :j])


def times(a: Doubles, factor: np.uint64) -> Doubles:
    """a times a word."""
    shape = a.shape
    return product(a.reshape(-1, 1, 2), unsigned(np.array([[factor]], np.uint64))).reshape(shape)


def _limbs(a: Doubles) -> npt.NDArray[np.uint16]:
    """(i, k, 8)."""
    return np.ascontiguousarray(a).astype("<u8", copy=False).view("<u2")


def _joined(sums: Words) -> Doubles:
    """What sums of each weight stand for, (i, j, 2) of (8, i, j)."""
    first, second, third, fourth = sums[::2] + (sums[1::2] << np.uint64(_LIMB))  # each 2^32 times the one before
    half = np.uint64(32)
    low = first + (second << half)
    return np.stack([low, (second >> half) + third + (fourth << half) + (low < first)], axis=-1)
