"""Leaves put in order where a level's owner declared its column monotone: nobody learns which were out of order. Section 14.

Of two leaves that differ in one level only, one must not be above the other. Where it is, both are moved to their mean. Levels
are put in order one after the other; a later one leaves what earlier ones reached, as both the smaller and the larger of two
moved leaves rise with either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.learn.trees.forest import Forest
from common.learn.trees.masks import ORDER_BITS as BITS  # opened of a pair: less and same of the upper digit, less of the lower
from common.learn.trees.masks import ORDER_FACTORS as FACTORS
from common.learn.trees.masks import ORDER_MONOMIALS as MONOMIALS
from common.learn.trees.masks import ORDER_TABLE as TABLE_BYTES
from common.learn.trees.masks import Short, order_bytes
from common.mpc.largest.dealer import LESS, SAME
from common.mpc.lockstep import Rounds
from common.mpc.narrow import Bytes, as_words, from_words
from common.mpc.prg import Prg, Purpose
from common.mpc.session import Kind

WIDTH = 16  # bits of a leaf; differences are below 2^15 either way
_HALF = np.uint16(1 << (WIDTH - 1))
_ONE = np.uint16(1)

Directions = npt.NDArray[np.uint8]
NONE, INCREASING, DECREASING = range(3)


def pair_count(forest: Forest) -> int:
    """Pairs of leaves that differ in one level."""
    return forest.shape.leaves // 2


def pairs(forest: Forest, level: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The leaves left and right of this level that are alike in all others, (pairs,) each."""
    bit = 1 << (forest.shape.depth - 1 - level)
    left = np.flatnonzero(np.arange(forest.shape.leaves) & bit == 0)
    return left, left + bit


@dataclass(frozen=True, repr=False)
class OrderDealt:
    """A share of what is dealt for one level.

    tables: (BITS, pairs, 32), truth tables of a digit's comparison, shared by exclusive or. products: modulo 2^16,
    (FACTORS, MONOMIALS, pairs).
    """

    tables: Bytes
    products: Short

    def data(self) -> Bytes:
        return np.concatenate([self.tables.reshape(-1), self.products.reshape(-1).view(np.uint8)])

    @classmethod
    def parse(cls, data: Bytes, count: int) -> OrderDealt:
        cut = BITS * count * TABLE_BYTES
        products = np.ascontiguousarray(data[cut:]).view(np.uint16).reshape(FACTORS, MONOMIALS, count)
        return cls(data[:cut].reshape(BITS, count, TABLE_BYTES), products)


@dataclass(frozen=True, repr=False)
class OrderMasks:
    """What one seed gives for putting a level of a tree in order."""

    prg: Prg
    forest: Forest
    tree: int
    level: int

    @property
    def _number(self) -> int:
        return self.forest.number(self.tree, self.level)

    def values(self) -> Short:
        """This party's half of what hides differences, (pairs,)."""
        return self.prg.short_words(Purpose.TREE_ORDER_MASK, self._number, pair_count(self.forest))

    def bits(self) -> Bytes:
        """Its half of what hides the bits of each pair, (pairs,), of BITS bits."""
        return self.prg.bytes(Purpose.TREE_ORDER_BITS, self._number, pair_count(self.forest)) & np.uint8((1 << BITS) - 1)

    def dealt(self) -> OrderDealt:
        """The share of what is dealt that is expanded, by the party that is dealt nothing."""
        count = pair_count(self.forest)
        return OrderDealt.parse(self.prg.bytes(Purpose.TREE_ORDER_DEALT, self._number, order_bytes(self.forest)), count)


def deal_order(masks: tuple[OrderMasks, OrderMasks], own: OrderDealt) -> OrderDealt:
    """The share that is dealt for one level, of both parties' masks; own: the share that the other expands."""
    r = masks[0].values() + masks[1].values()
    top, lacks = r >> np.uint16(WIDTH - 1), (_HALF - _ONE) - (r & (_HALF - _ONE))
    high, low = lacks >> np.uint16(8), lacks & np.uint16(255)
    tables = np.stack([LESS[high], SAME[high], LESS[low]])
    bits = masks[0].bits() ^ masks[1].bits()
    m1, m2, m3 = ((bits >> np.uint8(i) & np.uint8(1)).astype(np.uint16) for i in range(BITS))
    rest = (_ONE - (top << _ONE)) * np.stack([np.ones_like(m1), m1, m2, m3, m2 * m3])
    monomials = np.concatenate([np.stack([np.ones_like(top), top]), rest])
    factors = np.stack([np.ones_like(r), r >> _ONE, r & _ONE, top])
    return OrderDealt(tables ^ own.tables, factors[:, None] * monomials[None] - own.products)


async def put_in_order(
    rounds: Rounds, masks: list[OrderMasks], dealt: list[OrderDealt], table: Short, directions: Directions
) -> Short:
    """A share of the leaves in order, (leaves,), of a share of them as they are. directions: of each level, known to both.

    Two rounds a level, whether it is to be in order or not. Differences must be below 2^15 steps, 16 of log-odds.

    1. open how far the leaf that should be below is above the other, plus one, masked: 2 bytes a pair
    2. look its digits up in shared tables, and open three masked bits: 3/8 byte a pair
    """
    out = table.copy()
    one = np.uint16(rounds.party.index)  # the bank adds it
    for level, (mask, share) in enumerate(zip(masks, dealt, strict=True)):
        below, above = pairs(mask.forest, level)
        if directions[level] == DECREASING:
            below, above = above, below
        mine = out[below] - out[above] + one - mask.values()
        opened = mine + (await rounds.exchange(Kind.MASKED_ORDER, mine.view(np.uint8))).view(np.uint16)
        bits = packed_bits(_looked_up(share.tables, opened) ^ mask.bits())
        told = unpacked_bits(bits ^ await rounds.exchange(Kind.MASKED_ORDER, bits), len(opened))
        if directions[level] != NONE:
            moved = _half_of_positive(share.products, told, opened)
            out[below] -= moved
            out[above] += moved
    return out


def packed_bits(values: Bytes) -> Bytes:
    """(BITS, bytes): the low BITS bits of each value, a row for each bit."""
    return np.packbits((values[None, :] >> np.arange(BITS, dtype=np.uint8)[:, None]) & np.uint8(1), axis=1)


def unpacked_bits(packed: Bytes, count: int) -> Short:
    """(BITS, count) of 0 and 1."""
    return np.unpackbits(packed, axis=1, count=count).astype(np.uint16)


def _looked_up(tables: Bytes, opened: Short) -> Bytes:
    """This party's share of the bits of each pair, (pairs,): less and same of the upper digit, less of the lower."""
    rows, out = np.arange(len(opened)), np.zeros(len(opened), np.uint8)
    high, low = (opened & (_HALF - _ONE)) >> np.uint16(8), opened & np.uint16(255)
    for bit, digit in enumerate((high, high, low)):
        byte, place = tables[bit, rows, digit >> np.uint16(3)], (digit & np.uint16(7)).astype(np.uint8)
        out |= (byte >> place & np.uint8(1)) << np.uint8(bit)
    return out


def _half_of_positive(products: Short, told: Short, opened: Short) -> Short:
    """A share of y >> 1 where y = opened + r is not below zero, else of 0, (pairs,).

    y's sign is top(c) xor top(r) xor carry, carry = v1 + v2 v3, v = o + (1 - 2 o) m. Where it is not set, y >> 1 is
    (c >> 1) + (r >> 1) + c_0 r_0 - 2^15 (top(c) or top(r)).
    """
    o1, o2, o3 = told
    s1, s2, s3 = _ONE - (told << _ONE)
    carry = np.stack([o1 + o2 * o3, s1, s2 * o3, o2 * s3, s2 * s3])
    top, flip = opened >> np.uint16(WIDTH - 1), _ONE - ((opened >> np.uint16(WIDTH - 1)) << _ONE)

    def kept(factor: int) -> Short:
        """A share of this factor where y is not below zero."""
        whole, topped, *rest = products[factor]
        found: Short = (_ONE - top) * whole - flip * (topped + (carry * np.stack(rest)).sum(0, dtype=np.uint16))
        return found

    high = (opened >> _ONE) - top * _HALF
    found: Short = high * kept(0) + kept(1) + (opened & _ONE) * kept(2) - (_ONE - top) * _HALF * kept(3)
    return found


async def agreed(rounds: Rounds, own: Directions, owned: npt.NDArray[np.bool_]) -> Directions:
    """Of each level in which direction its owner declared its column, (depth,); own: of the levels of this party.

    Raises PeerProtocolError for a direction of a level that is not the other's, or for another word.
    """
    theirs = await rounds.exchange(Kind.SPLIT_DIRECTIONS, own)
    if (theirs > DECREASING).any() or theirs[owned].any():
        raise PeerProtocolError("the other party gives directions of levels that it does not split")
    return np.where(owned, own, theirs)


def level_shares(words: npt.NDArray[np.uint64], forest: Forest) -> list[OrderDealt]:
    """What was dealt for each level of a tree."""
    size = order_bytes(forest)
    data = from_words(words, forest.shape.depth * size)
    return [OrderDealt.parse(data[low : low + size], pair_count(forest)) for low in range(0, len(data), size)]


def as_dealt(levels: list[OrderDealt]) -> npt.NDArray[np.uint64]:
    return as_words(np.concatenate([level.data() for level in levels]))
