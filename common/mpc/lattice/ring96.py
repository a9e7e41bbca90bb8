"""Polynomials modulo X^N + 1 and 2^96, where 64 bits leave no room between noise and what hides it.

A coefficient stands in three words of 32 bits, low one first. It is multiplied in signed limbs, so small that products added up
as transforms are exact by the bound of `ring`:
  four of 24 bits, polynomials of norm 2^23 2^6, by integers whose norms add up to SMALL;
  three of 32 bits, of norm 2^31 2^6, each by one ternary polynomial, of norm 2^6: 2^43 in all;
  eight of 12 bits, of norm 2^11 2^6, by numbers of 36 bits in three such limbs: three products a place, of up to 20 pairs.
What is kept of a sum is its upper 64 bits, in words. PROTOCOL.md sections 20 and 21.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, HALF, REACH, Integers, Spectrum, integers, spectrum
from common.mpc.lattice.ring import limbs as word_limbs

WORDS = 3
LIMB_BITS = 24
LIMBS = 4
SMALL = REACH / 2.0 ** (LIMB_BITS - 1) / DEGREE**0.5
"""The largest sum of norms of the integer polynomials that multiply a limb each: 2^14."""
UNIT = 32  # bits below what is kept in words
DIGIT_BITS = 12
DIGITS = 8
NUMBER_DIGITS = 3
ADDED = 20
"""Pairs of polynomials whose products are added as transforms: 60 products a place, 60 (2^11 2^6)^2 < 2^40."""
CUT_LIMBS = 2
CUT_BITS = CUT_LIMBS * LIMB_BITS  # of a word that is the upper half of a coefficient

Long = npt.NDArray[np.uint32]
"""Polynomials, (..., WORDS, N)."""

_ONE = np.int64((1 << LIMB_BITS) - 1)
_MIDDLE = np.int64(1 << LIMB_BITS - 1)
_AT_ONCE = 64  # polynomials whose limbs are in memory together
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


def flat(long: Long) -> Long:
    """Polynomials (..., WORDS, N) as they cross a line, one word below the other: (k, N)."""
    return long.reshape(-1, DEGREE)


def stacked(flat: Long) -> Long:
    """The inverse of `flat`, (k, WORDS, N)."""
    return flat.reshape(-1, WORDS, DEGREE)


def cut(sums: Integers) -> Words:
    """As `upper` of thirds, but to the nearest: what of a sample is sent in words."""
    return thirds_upper(sums, 1 << UNIT - 1)


def thirds(long: Long) -> Integers:
    """(..., WORDS, N), each from -2^31 to 2^31 - 1: the words, signed, with what that takes from the next."""
    found = np.empty(long.shape, np.int64)
    carry: Integers = np.zeros(long[..., 0, :].shape, np.int64)
    for i in range(WORDS):
        word = long[..., i, :].astype(np.int64) + carry
        carry = word + (1 << 31) >> 32
        found[..., i, :] = word - (carry << 32)
    return found


def thirds_upper(sums: Integers, plus: int = 0) -> Words:
    """The upper 64 of the 96 bits that sums of thirds, and `plus`, stand for, (..., N), rounded down."""
    found: Words = (sums[..., 1, :] + (sums[..., 0, :] + plus >> UNIT)).view(np.uint64)
    found += sums[..., 2, :].view(np.uint64) << np.uint64(32)
    return found


def thirds_joined(sums: Integers) -> Long:
    """The inverse of `thirds`, of sums of them below 2^62 in size."""
    found = np.empty(sums.shape, np.uint32)
    over: Integers = np.zeros(sums[..., 0, :].shape, np.int64)
    for i in range(WORDS):
        whole = sums[..., i, :] + over
        found[..., i, :] = (whole & 0xFFFFFFFF).astype(np.uint32)
        over = whole >> 32
    return found


class Wide:
    """Polynomials (..., WORDS, N), ready to be multiplied by ternary ones."""

    def __init__(self, long: Long) -> None:
        self._thirds = spectrum(thirds(long))

    def times(self, ternary: Spectrum) -> Integers:
        """Products with a ternary polynomial each, of these transforms, (..., N / 2): sums of thirds, (..., WORDS, N)."""
        return integers(self._thirds * ternary[..., None, :])


def weighted(numbers: Words, long: Long) -> Integers:
    """The sum of polynomials (m, WORDS, N) times signed numbers of up to 44 bits, (m,): sums of limbs, (LIMBS, N)."""
    signed, total = numbers.view(np.int64), np.zeros((LIMBS, DEGREE), np.int64)
    low = ((signed + _MIDDLE) & _ONE) - _MIDDLE
    high = signed - low >> LIMB_BITS
    for first in range(0, len(signed), _AT_ONCE):
        at = slice(first, first + _AT_ONCE)
        cut = limbs(long[at])
        total += np.einsum("j,jli->li", low[at], cut)
        total[1:] += np.einsum("j,jli->li", high[at], cut[:, :-1])
    return total


def inner(small: Integers, long: Long) -> Integers:
    """Inner products of ternary coefficients (k, N) with those of (m, WORDS, N): sums of limbs, (k, m, LIMBS, 1)."""
    found = np.empty((len(small), len(long), LIMBS, 1), np.int64)
    for first in range(0, len(long), _AT_ONCE):
        at = slice(first, first + _AT_ONCE)
        found[:, at, :, 0] = np.einsum("ki,jli->kjl", small, limbs(long[at]))
    return found


def _digits(long: Long) -> Integers:
    """(..., DIGITS, N), from -2^11 to 2^11: digit i stands for 2^(12 i)."""
    cut, found = limbs(long), np.empty((*long.shape[:-2], DIGITS, long.shape[-1]), np.int64)
    half = np.int64(1 << DIGIT_BITS - 1)
    found[..., ::2, :] = ((cut + half) & np.int64((1 << DIGIT_BITS) - 1)) - half
    found[..., 1::2, :] = cut - found[..., ::2, :] >> DIGIT_BITS
    return found


class Sum:
    """The sum of products of numbers of 36 bits with 96-bit polynomials: `add` them, then read `total`."""

    def __init__(self, count: int, digits: int = NUMBER_DIGITS) -> None:
        """count: how many sums there are, each of its own numbers and the same polynomials. digits: of the numbers."""
        self._sizes = (DIGIT_BITS,) * digits
        self._places = np.zeros((count, DIGITS, DEGREE), np.int64)
        self._pending = np.zeros((count, DIGITS, HALF), np.complex128)
        self._added = 0

    def add(self, numbers: Words, long: Long) -> None:
        """numbers: (count, N), signed ones of as many bits as the digits have. long: (WORDS, N)."""
        digits = spectrum(_digits(long))
        for i, limb in enumerate(word_limbs(numbers, self._sizes)):
            self._pending[:, i:] += spectrum(limb)[:, None] * digits[: DIGITS - i]
        self._added += 1
        if self._added == ADDED:
            self._settle()

    def _settle(self) -> None:
        self._places += integers(self._pending)
        self._pending[:] = 0
        self._added = 0

    @property
    def total(self) -> Integers:
        """Sums of limbs, (count, LIMBS, N), for up to 2^10 pairs below 2^59."""
        self._settle()
        return self._places[:, ::2] + (self._places[:, 1::2] << DIGIT_BITS)
