"""The randomness that a comparison consumes. PROTOCOL.md section 18.

A value's sign is its top bit, which is that of a public word plus a word that the dealer alone knows: both top bits, and the
carry out of the bits below. The dealer deals the upper 16 of its low bits as four digits, each as the one of 16 bits that is
set.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words
from common.mpc.narrow import Bytes, as_words, from_words, word_count
from common.mpc.prg import Prg, Purpose
from common.party import Party

DIGITS = 4  # of 4 bits
IGNORED = 15  # low bits of 32 that are not looked at: a value below 2^15 may count as one below zero
BITS = 6  # opened of a comparison: the upper three digits the same, the lower three more, from the upper to the lower
SIGN = 1 << BITS  # in a pad: what hides the sign
CELL_BYTES = 2 * DIGITS + 2  # dealt of a comparison

Shorts = npt.NDArray[np.uint16]

# more = more_3 xor same_3 more_2 xor same_3 same_2 more_1 xor same_3 same_2 same_1 more_0, by the places of opened bits
TERMS = ((0, 3), (0, 1, 4), (0, 1, 2, 5))
_PARTS = {part for term in TERMS for size in range(2, len(term) + 1) for part in combinations(term, size)}
PRODUCTS = tuple(sorted(_PARTS, key=lambda part: (len(part), part)))
"""The 15 products of the bits' pads that these terms consist of, once the bits less their pads are public."""


def opened_terms() -> tuple[npt.NDArray[np.uint32], Bytes]:
    """For each value of the six opened bits, (64,): the pads and, from bit 6 on, products of pads that add up to the terms.

    And beside these what of the terms is public.
    """
    which, public = np.zeros(1 << BITS, np.uint32), np.zeros(1 << BITS, np.uint8)
    parts: list[tuple[int, ...]] = [*((bit,) for bit in range(BITS)), *PRODUCTS]
    for value in range(1 << BITS):
        for term in TERMS:
            for part in chain.from_iterable(combinations(term, size) for size in range(len(term) + 1)):
                if all(value >> bit & 1 for bit in term if bit not in part):
                    if part:
                        which[value] ^= np.uint32(1 << parts.index(part))
                    else:
                        public[value] ^= np.uint8(1)
    return which, public


def cells_of(count: int, party: Party) -> slice:
    """The comparisons of which this party is dealt its share, and the other expands its own: half of them."""
    half = (count + 1) // 2
    return slice(0, half) if party is Party.GRID else slice(half, count)


@dataclass(frozen=True, repr=False)
class Tables:
    """A share, by exclusive or, of what is dealt for some comparisons.

    digits: (cells, DIGITS), lowest first, the bit that is set being the digit. products: (cells,), of pads, in the order of
    PRODUCTS; bit 15 is the top bit of what the dealer knows.
    """

    digits: Shorts
    products: Shorts

    def words(self) -> Words:
        return as_words(np.concatenate([self.digits.ravel(), self.products]))

    @classmethod
    def parse(cls, words: Words, cells: int) -> Tables:
        shorts = np.ascontiguousarray(from_words(words, CELL_BYTES * cells)).view(np.uint16)
        return cls(shorts[: DIGITS * cells].reshape(cells, DIGITS), shorts[DIGITS * cells :])

    def joined(self, more: Tables) -> Tables:
        return Tables(np.concatenate([self.digits, more.digits]), np.concatenate([self.products, more.products]))


@dataclass(frozen=True, repr=False)
class CompareMasks:
    """What one seed gives for `count` comparisons under this number."""

    prg: Prg
    number: int
    count: int

    def pads(self) -> Bytes:
        """This party's half of what hides the opened bits, and SIGN of what hides the sign, (count,)."""
        return self.prg.bytes(Purpose.COMPARE_PADS, self.number, self.count) & np.uint8(2 * SIGN - 1)

    def tables(self, dealt: Party) -> Tables:
        """The share that is expanded of the comparisons of which party `dealt` is dealt its own."""
        cells = len(range(self.count)[cells_of(self.count, dealt)])
        shorts = self.prg.short_words(Purpose.COMPARE_TABLES, self.number, (DIGITS + 1) * cells)
        return Tables(shorts[: DIGITS * cells].reshape(cells, DIGITS), shorts[DIGITS * cells :])


def dealt_words(count: int, party: Party) -> int:
    """Words that this party is dealt for so many comparisons."""
    return word_count(CELL_BYTES * len(range(count)[cells_of(count, party)]))
