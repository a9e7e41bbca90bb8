"""The largest one or two of each row's values told to the bank as codes, and nothing to the grid. PROTOCOL.md section 18.

All pairs of a row's values are compared at once, and each with zero; what a value then loses is counted modulo 32, and looked
up under a mask: a value that loses nothing is the largest, one that loses once the next.
"""

from __future__ import annotations

import numpy as np

from common.mpc.circle import Turns
from common.mpc.compare.masks import IGNORED
from common.mpc.compare.signs import hidden_signs
from common.mpc.correlations.source import Source
from common.mpc.narrow import Bytes
from common.mpc.ranks.masks import (
    BELOW,
    LOSSES,
    LOW,
    RankMasks,
    bits_of,
    compared,
    dealt_words,
    pack_values,
    pairs,
    slots_of,
    unpack_values,
    with_differences,
)
from common.mpc.session import Kind, Session
from common.party import Party

ROUNDS = 4  # and one message one way
_CENTRE = np.uint32(1 << IGNORED)  # parties and dealer drop what is below a step: so zero is told as above it half of the time


async def tell_largest(session: Session, source: Source, number: int, shares: Turns, most: int, tell: Kind) -> Bytes | None:
    """At the bank, for each row, 1 + the place of its largest value above zero, and of the next, (rows, most); 0 for none.

    shares: (count, rows), of values modulo 2^32, less what the dealer knows. Values and their differences are below 2^31 by
    four steps of 2^15, and are told apart in such steps: what is compared is each value rounded, by the shares' upper bits,
    to a multiple within two steps of it. Of equal ones the first is the larger. most: 1 or 2. tell: the kind of message by
    which the grid tells the bank. None at the grid.

    1. open the rounded values, masked: 17 bits each way
    2. the signs of them and of all differences, hidden by bits that the dealer knows
    3. open how often each value loses, masked: a byte each way
    4. the grid sends its share of the codes: `most` bytes a row
    """
    (count, rows), party = shares.shape, session.party
    masks = RankMasks(source.prg, number, count, rows)
    values = (shares + (_CENTRE if party is Party.GRID else np.uint32(0)) >> np.uint32(IGNORED)) - masks.values() & LOW
    theirs = await session.exchange(Kind.MASKED_COMPARED, pack_values(values))
    c = values + unpack_values(theirs, shares.shape) << np.uint32(IGNORED)
    below = await hidden_signs(session, source, number, await session.compute(lambda: with_differences(c), c.size * count))
    below = below.reshape(compared(count), rows)
    words = await source.fetch(Kind.DEALT_RANKS, number, (dealt_words(count, rows, party),))
    if party is Party.GRID:
        bits, slots = masks.bits(), slots_of(words, count, rows)
    else:
        bits, slots = bits_of(words, count, rows), masks.slots()
    mine = await session.compute(lambda: _losses(party, below, bits, count) + masks.losses(), below.size)
    mine &= np.uint8(LOSSES - 1)
    lost = (mine + await session.exchange(Kind.MASKED_RANKS, mine)) & np.uint8(LOSSES - 1)
    codes = await session.compute(lambda: _codes(slots, lost, most), most * lost.size)
    if party is Party.GRID:
        await session.send(tell, codes)
        return None
    return codes ^ await session.receive(tell, np.uint8, codes.shape)


def _losses(party: Party, below: Bytes, bits: Bytes, count: int) -> Bytes:
    """A share modulo 256 of how often each value loses, (count, rows): to each that is larger, BELOW times to zero.

    The value of a sign o that a bit b hides is o + (1 - 2 o) b.
    """
    share = bits * (np.uint8(1) - np.uint8(2) * below)
    if party is Party.BANK:
        share += below
    losses = share[:count] * np.uint8(BELOW)
    for pair, (one, other) in enumerate(zip(*pairs(count), strict=True)):
        losses[one] += share[count + pair]
        losses[other] -= share[count + pair]
    if party is Party.BANK:  # of a pair whose first does not lose the other does: one less the share
        losses += np.arange(count, dtype=np.uint8)[:, None]
    return losses


def _codes(slots: Turns, lost: Bytes, most: int) -> Bytes:
    """A share, by exclusive or, of 1 + the place of the value that loses k times, for each k below `most`, (rows, most).

    lost: (count, rows), how often each loses plus the mask of which `slots` has the bit set.
    """
    count, rows = slots.shape
    codes = np.zeros((rows, most), np.uint8)
    for k in range(most):
        at = (lost - np.uint8(k)) & np.uint8(LOSSES - 1)
        for place in range(count):
            found = (slots[place] >> at[place] & np.uint32(1)).astype(np.uint8)
            codes[:, k] ^= found * np.uint8(place + 1)
    return codes
