"""The randomness that ranking the values of rows consumes. PROTOCOL.md section 18."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.mpc.bits import packed_bits, unpacked_bits
from common.mpc.circle import Turns
from common.mpc.compare.masks import IGNORED
from common.mpc.compare.masks import dealt_words as sign_words
from common.mpc.fixedpoint import Words
from common.mpc.narrow import Bytes, from_words, word_count
from common.mpc.prg import Prg, Purpose
from common.party import Party

MOST = 30  # values of a row: how often one loses is then below LOSSES
LOSSES = 32
WIDTH = 32 - IGNORED  # bits of a value: all that a comparison looks at
LOW = np.uint32((1 << WIDTH) - 1)
BELOW = 2  # what a value loses that is below zero: it is none of the two largest then

Index = npt.NDArray[np.int64]


@functools.cache
def pairs(count: int) -> tuple[Index, Index]:
    """Both members of each pair of `count` values, (pairs,) each, the lower number first; not to be written."""
    first, second = np.triu_indices(count, 1)
    first.flags.writeable = second.flags.writeable = False
    return first, second


def compared(count: int) -> int:
    """Comparisons of a row: each value with zero, and all pairs."""
    return count * (count + 1) // 2


def with_differences(values: Turns) -> Turns:
    """Values, (count, rows), then the difference of each pair, (compared * rows,)."""
    first, second = pairs(len(values))
    return np.concatenate([values, values[first] - values[second]]).reshape(-1)


@dataclass(frozen=True, repr=False)
class RankMasks:
    """What one seed gives for ranking `count` values of each of `rows` rows under this number."""

    prg: Prg
    number: int
    count: int
    rows: int

    @property
    def _values(self) -> int:
        return self.count * self.rows

    def values(self) -> Turns:
        """This party's half of what hides the values, (count, rows), of WIDTH bits."""
        drawn = self.prg.half_words(Purpose.RANK_VALUES, self.number, self._values) & LOW
        return drawn.reshape(self.count, self.rows)

    def losses(self) -> Bytes:
        """Its half of what hides how often each loses, (count, rows), below LOSSES."""
        drawn = self.prg.bytes(Purpose.RANK_LOSSES, self.number, self._values) & np.uint8(LOSSES - 1)
        return drawn.reshape(self.count, self.rows)

    def bits(self) -> Bytes:
        """The share of the bits that hide signs, (compared, rows) modulo 256: the grid expands its own, the bank is dealt."""
        cells = compared(self.count)
        return self.prg.bytes(Purpose.RANK_BITS, self.number, cells * self.rows).reshape(cells, self.rows)

    def slots(self) -> Turns:
        """The share of each mask of losses as the one of 32 bits that is set, (count, rows): the bank's, the grid is dealt."""
        return self.prg.half_words(Purpose.RANK_SLOTS, self.number, self._values).reshape(self.count, self.rows)


def dealt_words(count: int, rows: int, party: Party) -> int:
    """Words that this party is dealt, beside those of comparisons."""
    return word_count(rows * (4 * count if party is Party.GRID else compared(count)))


def all_dealt(count: int, rows: int, party: Party) -> int:
    """Words that it is dealt in all."""
    return sign_words(compared(count) * rows, party) + dealt_words(count, rows, party)


def pack_values(values: Turns) -> Bytes:
    """Words of WIDTH bits, of any shape, as bytes: the low 16 bits of each, then the upper ones, packed."""
    flat = values.reshape(-1)
    upper = packed_bits((flat >> np.uint32(16)).astype(np.uint8), WIDTH - 16)
    return np.concatenate([flat.astype("<u2").view(np.uint8), upper.ravel()])


def unpack_values(packed: Bytes, shape: tuple[int, int]) -> Turns:
    """What `pack_values` was given, of this shape."""
    count = shape[0] * shape[1]
    upper = unpacked_bits(packed[2 * count :].reshape(WIDTH - 16, -1), count)
    values = packed[: 2 * count].copy().view("<u2").astype(np.uint32)
    for bit, plane in enumerate(upper):
        values |= plane.astype(np.uint32) << np.uint32(16 + bit)
    return values.reshape(shape)


def sent_bytes(count: int, rows: int) -> int:
    """Bytes that each party sends the other for it, without the codes."""
    cells = compared(count) * rows
    return 2 * count * rows + -(-count * rows // 8) + 7 * -(-cells // 8) + count * rows


def slots_of(words: Words, count: int, rows: int) -> Turns:
    """What the grid is dealt, (count, rows)."""
    return np.ascontiguousarray(from_words(words, 4 * count * rows)).view(np.uint32).reshape(count, rows)


def bits_of(words: Words, count: int, rows: int) -> Bytes:
    """What the bank is dealt, (compared, rows)."""
    return from_words(words, compared(count) * rows).reshape(compared(count), rows)
