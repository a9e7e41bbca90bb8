"""The randomness that finding the largest of shared values consumes. PROTOCOL.md section 14."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from common.mpc import field
from common.mpc.field import Elements
from common.mpc.fixedpoint import Words
from common.mpc.narrow import Bytes, as_words, from_words, word_count
from common.mpc.prg import Prg, Purpose

WIDTH = 25  # bits of a compared value: differences are below 2^24 either way
DIGITS = (16, 8, 0)  # shifts of the digits of 8 bits below the top bit
BITS = 5  # opened of a pair: less and same of the upper digits, less of the lowest
MONOMIALS = 12
TABLE_BYTES = 32  # a bit for each value of a digit
LOW = np.uint32((1 << WIDTH) - 1)

Index = npt.NDArray[np.int64]
Half = npt.NDArray[np.uint32]


@lru_cache(maxsize=8)
def pairs(count: int) -> tuple[Index, Index]:
    """Both members of each pair of `count` values, (pairs,) each, the lower number first."""
    first, second = np.triu_indices(count, 1)
    return first, second


def pair_count(count: int) -> int:
    return count * (count - 1) // 2


@dataclass(frozen=True, repr=False)
class LargestMasks:
    """What one seed gives for the finding of this number among `count` values."""

    prg: Prg
    number: int
    count: int

    @property
    def pairs(self) -> int:
        return pair_count(self.count)

    def values(self) -> Half:
        """This party's half of what hides the values, (count,), of WIDTH bits."""
        return self.prg.half_words(Purpose.LARGEST_MASK, self.number, self.count) & LOW

    def bits(self) -> Bytes:
        """Its half of what hides the bits of each pair, (pairs,), of BITS bits."""
        return self.prg.bytes(Purpose.LARGEST_BITS, self.number, self.pairs) & np.uint8((1 << BITS) - 1)

    def factor(self) -> Elements:
        """Its half of each value's factor, (count,), never zero. Only the dealer, which knows both, uses it."""
        return field.elements(self.prg, Purpose.LARGEST_FACTOR, self.number, self.count, field.P - 1) + np.uint32(1)

    def dealt(self) -> LargestDealt:
        """The share of what is dealt that is expanded, by the party that is dealt nothing."""
        p, k = self.pairs, self.number
        tables = self.prg.bytes(Purpose.LARGEST_TABLES, k, BITS * p * TABLE_BYTES)
        products = field.elements(self.prg, Purpose.LARGEST_PRODUCTS, k, 2 * MONOMIALS * p)
        share = field.elements(self.prg, Purpose.LARGEST_SHARE, k, self.count)
        return LargestDealt(tables.reshape(BITS, p, TABLE_BYTES), products.reshape(2, MONOMIALS, p), share)


@dataclass(frozen=True, repr=False)
class LargestDealt:
    """A share of what is dealt.

    tables: (BITS, pairs, 32), truth tables of a digit's comparison, shared by exclusive or. products: (2, MONOMIALS, pairs)
    elements, for either member of a pair. factor: (count,) elements.
    """

    tables: Bytes
    products: Elements
    factor: Elements

    def words(self) -> Words:
        return as_words(np.concatenate([part.reshape(-1).view(np.uint8) for part in (self.tables, self.products, self.factor)]))

    @classmethod
    def parse(cls, words: Words, count: int) -> LargestDealt:
        p = pair_count(count)
        tables, products = BITS * p * TABLE_BYTES, 8 * MONOMIALS * p
        data = from_words(words, tables + products + 4 * count)
        elements = np.ascontiguousarray(data[tables:]).view(np.uint32)
        shape = (BITS, p, TABLE_BYTES), (2, MONOMIALS, p)
        return cls(data[:tables].reshape(shape[0]), elements[: products // 4].reshape(shape[1]), elements[products // 4 :])


def dealt_words(count: int) -> int:
    """Words that are dealt, to one party, for one finding."""
    p = pair_count(count)
    return word_count(BITS * p * TABLE_BYTES + 8 * MONOMIALS * p + 4 * count)
