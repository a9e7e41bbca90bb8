"""Polynomials modulo X^N + 1 and 2^96, where 64 bits leave no room between noise and what hides it.

A coefficient stands in three words of 32 bits, low one first. It is multiplied in four signed limbs of 24 bits, whose
polynomials are of norm 2^23 2^6 at most: products of one limb with integers whose norms add up to SMALL, added up as
transforms, are exact by the bound of `ring`. PROTOCOL.md section 21.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, REACH, Integers

WORDS = 3
LIMB_BITS = 24
LIMBS = 4
SMALL = REACH / 2.0 ** (LIMB_BITS - 1) / DEGREE**0.5
"""The largest sum of norms of the integer polynomials that multiply a limb each: 2^14."""
CUT_LIMBS = 2
CUT_BITS = CUT_LIMBS * LIMB_BITS  # of a word that is the upper half of a coefficient

Long = npt.NDArray[np.uint32]
"""Polynomials, (..., WORDS, N)."""

_ONE = np.int64((1 << LIMB_BITS) - 1)
_MIDDLE = np.int64(1 << LIMB_BITS - 1)
_LOW = np.uint64(sum(1 << LIMB_BITS * i + LIMB_BITS - 1 for i in range(2)))
_HIGH = np.uint32(sum(1 << LIMB_BITS * i + LIMB_BITS - 1 - 64 for i in range(2, LIMBS)))


def limbs(long: Long) -> Integers:
    """(..., LIMBS, N), each from -2^23 to 2^23 - 1: limb i stands for 2^(24 i), all for the coefficient modulo 2^96."""
    # 2^23 is added to each limb, and taken off again once they are apart
    low = long[..., 0, :] | long[..., 1, :].astype(np.uint64) << np.uint64(32)
    moved = low + _LOW
    high = long[..., 2, :] + _HIGH + (moved < low)
    found = np.empty((*long.shape[:-2], LIMBS, long.shape[-1]), np.int64)
    found[..., 0, :] = moved
    found[..., 1, :] = moved >> np.uint64(LIMB_BITS)
    found[..., 2, :] = moved >> np.uint64(2 * LIMB_BITS) | high.astype(np.uint64) << np.uint64(16)
    found[..., 3, :] = high >> np.uint32(8)
    found &= _ONE
    found -= _MIDDLE
    return found


def joined(sums: Integers) -> Long:
    """The inverse of `limbs`, of sums of limbs below 2^62 in size, modulo 2^96."""
    digits, over = [], np.zeros((*sums.shape[:-2], sums.shape[-1]), np.int64)
    for i in range(LIMBS):
        whole = sums[..., i, :] + over
        digits.append((whole & _ONE).astype(np.uint32))
        over = whole >> LIMB_BITS
    found = np.empty((*sums.shape[:-2], WORDS, sums.shape[-1]), np.uint32)
    for i in range(WORDS):
        found[..., i, :] = digits[i] >> np.uint32(8 * i) | digits[i + 1] << np.uint32(LIMB_BITS - 8 * i)
    return found


def upper(sums: Integers) -> Words:
    """The upper 64 of the 96 bits that sums of limbs stand for, (..., N): the coefficient over 2^32, rounded down."""
    found: Words = ((sums[..., 1, :] + (sums[..., 0, :] >> LIMB_BITS)) >> 8).view(np.uint64)
    found += sums[..., 2, :].view(np.uint64) << np.uint64(16)
    found += sums[..., 3, :].view(np.uint64) << np.uint64(40)
    return found


def cut_limbs(words: Words) -> Integers:
    """(..., CUT_LIMBS, N), likewise signed, of words (..., N) of CUT_BITS bits, modulo 2^48."""
    moved = words + _LOW
    found = np.empty((*words.shape[:-1], CUT_LIMBS, words.shape[-1]), np.int64)
    found[..., 0, :] = moved
    found[..., 1, :] = moved >> np.uint64(LIMB_BITS)
    found &= _ONE
    found -= _MIDDLE
    return found


def cut_upper(sums: Integers) -> Words:
    """What sums of `cut_limbs` stand for, times 2^48, in the upper 64 of 96 bits, (..., N)."""
    found: Words = sums[..., 0, :].view(np.uint64) << np.uint64(16)
    found += sums[..., 1, :].view(np.uint64) << np.uint64(16 + LIMB_BITS)
    return found
