"""Finding the largest of shared values, each of which one of the parties owns, in three rounds. PROTOCOL.md section 14.

All pairs are compared at once, from one opening of the values; then each value's losses are counted under a random factor in
the prime field, where only zero can be told from another number. Of equal values the one of the lower number wins.
"""

from __future__ import annotations

import numpy as np

from common.mpc import field
from common.mpc.bits import packed_bits, unpacked_bits
from common.mpc.correlations.source import Source
from common.mpc.field import Elements
from common.mpc.largest.masks import BITS, DIGITS, LOW, WIDTH, Half, LargestDealt, LargestMasks, dealt_words, pairs
from common.mpc.lockstep import Rounds
from common.mpc.narrow import Bytes
from common.mpc.session import Kind
from common.party import Party

ROUNDS = 3


async def find_largest(
    session: Rounds, source: Source, number: int, shares: Half, grids: int, to: Party, tell: Kind
) -> int | None:
    """The number of the largest value if this party owns it, else None.

    shares: (count,), of values whose differences are below 2^24, modulo 2^25. grids: how many of the values come first and are
    the grid's; the others are the bank's. to: the party that is dealt. tell: the kind of message by which each is told.

    1. open the values, masked: 4 bytes each
    2. look the digits of each pair's difference up in shared tables, and open five masked bits: 5/8 byte a pair
    3. tell the other party a share of how often each of its values loses, times a secret factor: 4 bytes each
    """
    count = len(shares)
    masks = LargestMasks(source.prg, number, count)
    mine = (shares - masks.values()) & LOW
    opened = (mine + await session.exchange(Kind.MASKED_COMPARED, mine)) & LOW
    if to is session.party:
        dealt = LargestDealt.parse(await source.fetch(Kind.DEALT_LARGEST, number, (dealt_words(count),)), count)
    else:
        dealt = masks.dealt()
    first, second = pairs(count)
    difference = (opened[first] - opened[second]) & LOW
    bits = packed_bits(_looked_up(dealt.tables, difference) ^ masks.bits(), BITS)
    told = unpacked_bits(bits ^ await session.exchange(Kind.MASKED_CARRIES, bits), len(difference))
    losses = _losses(dealt, told, difference >> np.uint32(WIDTH - 1), count)
    own, other = (losses[:grids], losses[grids:]) if session.party is Party.GRID else (losses[grids:], losses[:grids])
    theirs = await session.exchange(tell, other, shape=own.shape)
    won = np.flatnonzero(field.add(own, theirs) == 0)
    return int(won[0]) + (0 if session.party is Party.GRID else grids) if len(won) else None


def _looked_up(tables: Bytes, difference: Half) -> Bytes:
    """This party's share of the bits of each pair, (pairs,): less and same of the upper two digits, less of the lowest."""
    rows, out = np.arange(len(difference)), np.zeros(len(difference), np.uint8)
    high, middle, low = ((difference >> np.uint32(shift)) & np.uint32(255) for shift in DIGITS)
    for bit, digit in enumerate((high, high, middle, middle, low)):
        out |= ((tables[bit, rows, digit >> 3] >> (digit & 7).astype(np.uint8)) & np.uint8(1)) << np.uint8(bit)
    return out


def _losses(dealt: LargestDealt, told: Bytes, top: Half, count: int) -> Elements:
    """A share of factor * (how often it loses) for each value, (count,).

    With v = o + (1 - 2 o) m for each bit, the first of a pair loses if top xor carry, carry = v1 + v2 v3 + v2 v4 v5.
    """
    o1, o2, o3, o4, o5 = told.astype(np.int64)
    s1, s2, s3, s4, s5 = 1 - 2 * told.astype(np.int64)
    coefficients = np.stack(
        [
            np.ones_like(o1), o1 + o2 * o3 + o2 * o4 * o5, s1, s2 * o3 + s2 * o4 * o5, o2 * s3, s2 * s3, o2 * s4 * o5,
            o2 * o4 * s5, s2 * s4 * o5, s2 * o4 * s5, o2 * s4 * s5, s2 * s4 * s5,
        ]
    )  # fmt: skip
    total = np.zeros(count, np.int64)
    flips = top.astype(np.int64)
    for side, members in enumerate(pairs(count)):
        inner = (coefficients * dealt.products[side].astype(np.int64)).sum(0) % field.P
        factor = dealt.factor[members].astype(np.int64)
        first_loses = flips * factor + (1 - 2 * flips) * inner
        np.add.at(total, members, (first_loses if side == 0 else factor - first_loses) % field.P)
    return (total % field.P).astype(np.uint32)
