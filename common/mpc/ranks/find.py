"""The largest one or two of each row's values told to the bank as codes, and nothing to the grid. PROTOCOL.md section 18.

All pairs of a row's values are compared at once, and each with zero; what a value then loses is counted modulo 32, and looked
up under a mask: a value that loses nothing is the largest, one that loses once the next.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.mpc.circle import Turns
from common.mpc.compare.masks import IGNORED
from common.mpc.compare.signs import SignMasks, compare_signs, take_sign_masks
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
from common.mpc.session import Kind, Session, compute
from common.party import Party

ROUNDS = 4  # and one message one way
FEW = 64  # rows that are asked for one by one: a step for each pair takes as long for one row as for a thousand
_CENTRE = np.uint32(1 << IGNORED)  # parties and dealer drop what is below a step: so zero is told as above it half of the time


@dataclass(frozen=True, repr=False)
class RankParts:
    """What ranking `count` values of each of some rows consumes at one party.

    values, losses: (count, rows), its halves of what hides these. bits: (compared, rows), its shares of what losses are counted
    by, and slots: (count, rows), of what they are looked up by. signs: of all that is compared, (compared * rows,).
    """

    values: Turns
    losses: Bytes
    bits: Bytes
    slots: Turns
    signs: SignMasks

    def at(self, rows: slice) -> RankParts:
        """Those of some of the rows."""
        cells, count = self.bits.shape[0], self.values.shape[1]
        if rows == slice(0, count):
            return self
        which = (np.arange(cells)[:, None] * count + np.arange(count)[rows]).reshape(-1)
        return RankParts(
            self.values[:, rows], self.losses[:, rows], self.bits[:, rows], self.slots[:, rows], self.signs.at(which)
        )

    @classmethod
    def joined(cls, parts: Sequence[RankParts]) -> RankParts:
        """Those of several, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        signs = SignMasks.by_row([part.signs for part in parts], len(parts[0].bits))
        by_row = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in _BY_ROW}
        return cls(**by_row, signs=signs)


_BY_ROW = ("values", "losses", "bits", "slots")


async def take_rank_parts(source: Source, number: int, count: int, rows: int) -> RankParts:
    """What ranking so many values of so many rows under this number consumes."""
    party, masks = source.party, RankMasks(source.prg, number, count, rows)
    signs = await take_sign_masks(source, number, compared(count) * rows)
    words = await source.fetch(Kind.DEALT_RANKS, number, (dealt_words(count, rows, party),))

    def expand() -> RankParts:
        if party is Party.GRID:
            bits, slots = masks.bits(), slots_of(words, count, rows)
        else:
            bits, slots = bits_of(words, count, rows), masks.slots()
        return RankParts(masks.values(), masks.losses(), bits, slots, signs)

    return await compute(expand, compared(count) * rows)


async def tell_largest(session: Session, source: Source, number: int, shares: Turns, most: int, tell: Kind) -> Bytes | None:
    """At the bank, for each row, 1 + the place of its largest value above zero, and of the next, (rows, most); 0 for none.

    As `Ranking`, of values whose masks nobody has taken yet.
    """
    ranking = Ranking(session, await take_rank_parts(source, number, *shares.shape), shares)
    await ranking.post()
    return await ranking.tell(most, tell)


class Ranking:
    """The largest one or two values of each row, found once. Both parties must post and tell in the same order.

    shares: (count, rows), of values modulo 2^32, less what the dealer knows. Values and their differences are below 2^31 by
    four steps of 2^15, and are told apart in such steps: what is compared is each value rounded, by the shares' upper bits,
    to a multiple within two steps of it. Of equal ones the first is the larger.
    """

    def __init__(self, session: Session, parts: RankParts, shares: Turns) -> None:
        self._session, self._parts = session, parts
        centre = _CENTRE if session.party is Party.GRID else np.uint32(0)
        self._values = (shares + centre >> np.uint32(IGNORED)) - parts.values & LOW
        self._packed = pack_values(self._values)

    async def post(self) -> None:
        """Sends this party's half of the rounded values, masked: 17 bits each."""
        await self._session.post(Kind.MASKED_COMPARED, self._packed)

    async def tell(self, most: int, tell: Kind) -> Bytes | None:
        """At the bank the codes, (rows, most); None at the grid. most: 1 or 2. tell: the kind by which the grid tells the bank.

        1. open the rounded values   2. the signs of them and of all differences, hidden by bits that the dealer knows
        3. open how often each value loses, masked: a byte each way
        4. the grid sends its share of the codes: `most` bytes a row
        """
        session, parts, values = self._session, self._parts, self._values
        count, rows = values.shape
        theirs = await session.collect(Kind.MASKED_COMPARED, self._packed.dtype, self._packed.shape)
        c = values + unpack_values(theirs, values.shape) << np.uint32(IGNORED)
        below = await compare_signs(session, parts.signs, await session.compute(lambda: with_differences(c), c.size * count))
        below = below.reshape(compared(count), rows)
        mine = await session.compute(lambda: _losses(session.party, below, parts.bits, count) + parts.losses, below.size)
        mine &= np.uint8(LOSSES - 1)
        lost = (mine + await session.exchange(Kind.MASKED_RANKS, mine)) & np.uint8(LOSSES - 1)
        codes = await session.compute(lambda: _codes(parts.slots, lost, most), most * lost.size)
        if session.party is Party.GRID:
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
    if share.shape[1] <= FEW:
        losses = _adding(count) @ share
    else:
        losses = share[:count] * np.uint8(BELOW)
        for pair, (one, other) in enumerate(zip(*pairs(count), strict=True)):
            losses[one] += share[count + pair]
            losses[other] -= share[count + pair]
    if party is Party.BANK:  # of a pair whose first does not lose the other does: one less the share
        losses += np.arange(count, dtype=np.uint8)[:, None]
    return losses


@functools.cache
def _adding(count: int) -> Bytes:
    """What takes shares of all comparisons to those of losses, (count, compared) modulo 256; not to be written."""
    matrix = np.zeros((count, compared(count)), np.uint8)
    np.fill_diagonal(matrix, BELOW)
    first, second = pairs(count)
    place = count + np.arange(len(first))
    matrix[first, place], matrix[second, place] = 1, 255
    matrix.flags.writeable = False
    return matrix


def _codes(slots: Turns, lost: Bytes, most: int) -> Bytes:
    """A share, by exclusive or, of 1 + the place of the value that loses k times, for each k below `most`, (rows, most).

    lost: (count, rows), how often each loses plus the mask of which `slots` has the bit set.
    """
    count, rows = slots.shape
    codes, places = np.empty((rows, most), np.uint8), np.arange(1, count + 1, dtype=np.uint8)[:, None]
    for k in range(most):
        found = (slots >> ((lost - np.uint8(k)) & np.uint8(LOSSES - 1)) & np.uint32(1)).astype(np.uint8)
        codes[:, k] = np.bitwise_xor.reduce(found * places, axis=0)
    return codes
