"""Hidden units that are their sum where that is above zero, else zero: a party's part, and what is dealt for it.

Arrays are (units, rows). With the sums a opened as c = a + r, r the dealer's, and the sign of a as a bit that a bit b of the
dealer's flips, [a >= 0] and max(a, 0) are sums of dealt shares of b, r and b r times public factors: no multiplication is left,
and values are exact. PROTOCOL.md sections 15 and 18.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from common.learn.network.scales import SUM, Scales
from common.learn.network.units import Lacks, Output, Seat, Which
from common.mpc.compare.dealer import deal_signs
from common.mpc.compare.signs import SignMasks, compare_signs, take_sign_masks
from common.mpc.dealer import Dealt, Prgs, both, deal_halves
from common.mpc.fixedpoint import Words, top32
from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.party import Party

BITS = SUM + 5  # low bits of a word of a sum that are compared: magnitudes below 16, in steps of 2^-12


@dataclass(frozen=True, repr=False)
class HeldRelu:
    """What the way back needs of the way forth.

    above, flip: of [a >= 0] = above + flip b, public. values: the units' less their mask, public. bit, masked, hide: shares of
    b, of b times the residual's mask, and of the values' mask.
    """

    party: Party
    above: Words
    flip: Words
    values: Words
    bit: Words
    masked: Words
    hide: Words

    def pulled(self, opened: Words, share: Words, hide: Words) -> tuple[Words, Words]:
        """As `Held.pulled` says; the second lacks mask times mask."""
        back: Words = self.above * share + self.flip * (opened * self.bit + self.masked)
        mine = self.hide * opened + self.values * hide
        if self.party is Party.GRID:
            mine += self.values * opened
        return back, mine.sum(axis=1)


class ReluMasks:
    """What `rows` rows consume at one party under one number; what is dealt of it is fetched when it is first asked for.

    sums, values: what hides those of the units, (units, rows).
    """

    def __init__(self, seat: Seat, number: int, units: int, rows: int, *, trained: bool) -> None:
        self._seat, self._number, self._count = seat, number, 4 if trained else 3
        self.whole = units, rows
        self.sums = seat.correlations.mask(Purpose.UNIT_SUMS, number, units * rows).reshape(self.whole)
        self.values = seat.correlations.mask(Purpose.UNIT_VALUES, number, units * rows).reshape(self.whole)
        self._signs: SignMasks | None = None
        self._shares: list[Words] | None = None

    async def signs(self, rows: Which) -> SignMasks:
        """What comparing all units of these rows consumes, as one line."""
        if self._signs is None:
            self._signs = await take_sign_masks(self._seat.source, self._number, math.prod(self.whole))
        if isinstance(rows, slice) and rows == slice(0, self.whole[1]):
            return self._signs
        units, count = self.whole
        return self._signs.at((np.arange(units)[:, None] * count + np.arange(count)[rows]).ravel())

    async def shares(self) -> list[Words]:
        """Of b, r and b r, and in a training of b times the residual's mask, (units, rows) each."""
        if self._shares is None:
            fetched, cells = self._seat.correlations.halves, math.prod(self.whole)
            found = await fetched(Kind.DEALT_HIDDEN, Purpose.UNITS, self._number, self._count, cells)
            self._shares = [values.reshape(self.whole) for values in found]
        return self._shares

    async def ready(self) -> None:
        """Fetches it, in the order in which it is dealt."""
        await self.signs(slice(0, self.whole[1]))
        await self.shares()


async def look_up(
    session: Session, masks: ReluMasks, at: Which, sums: Words, output: Output, scales: Scales, *, spare: bool = False
) -> tuple[Words, HeldRelu]:
    """A share of u, (rows,) at `scales.output`, without the output's intercept and off by what the dealer knows.

    And what the way back needs. at: the rows among those that masks were taken for; spare: the others are compared too, as
    zeros. sums: this party's share of the units' sums, of magnitudes below 16, off by what the dealer knows. A sum in
    [0, 2^-12) may count as below zero. Four rounds, 16 7/8 bytes a unit and row each way: the sums, their digits' bits, the
    signs, the values.
    """
    mask, hide = masks.sums[:, at], masks.values[:, at]
    mine = sums + mask
    c = mine + await session.exchange(Kind.MASKED_HIDDEN, mine)
    padded, compared = c, at
    if spare:
        padded, compared = np.zeros(masks.whole, np.uint64), slice(0, masks.whole[1])
        padded[:, at] = c
    signs = await compare_signs(session, await masks.signs(compared), top32(padded, BITS).ravel())
    bit, lack, product, *masked = (values[:, at] for values in await masks.shares())
    found = signs.reshape(padded.shape)
    above = np.uint64(1) - (found[:, at] if spare else found).astype(np.uint64)
    flip = np.uint64(1) - np.uint64(2) * above

    def value() -> Words:
        unmasked = lack - mask if session.party is Party.GRID else c + lack - mask  # a share of c - r
        found: Words = above * unmasked + flip * (c * bit - product) - hide
        return found

    mine = await session.compute(value, 4 * sums.size)
    values = mine + await session.exchange(Kind.MASKED_HIDDEN, mine)
    u = _weighted(output.opened, hide) + _weighted(output.mask, values)
    if session.party is Party.GRID:
        u += _weighted(output.opened, values)
    return u, HeldRelu(session.party, above, flip, values, bit, masked[0] if masked else bit, hide)


def deal(
    prg: Prgs, number: int, offset: Words, output: Words, residual: Words | None, scales: Scales
) -> Generator[Dealt, None, Lacks]:
    """What signs take; shares of the bits that hide them, alone, times what hides the sums, and times the residual's mask.

    Returns what is lacking later: mask times mask. offset: what the parties' sums lack, (units, rows). output: (units,).
    residual: (rows,), None where nothing is trained.
    """
    r = both(prg, Purpose.UNIT_SUMS, number, offset.size).reshape(offset.shape) - offset
    dealt, hidden = deal_signs(prg, number, top32(np.uint64(0) - r, BITS).ravel())
    yield dealt
    bit = hidden.reshape(offset.shape).astype(np.uint64)
    arrays = [bit, offset, bit * r]
    if residual is not None:
        arrays.append(residual * bit)
    yield deal_halves(prg, Kind.DEALT_HIDDEN, Purpose.UNITS, number, [np.ravel(values) for values in arrays])
    hide = both(prg, Purpose.UNIT_VALUES, number, offset.size).reshape(offset.shape)
    lost: Words = np.zeros(len(offset), np.uint64) if residual is None else (hide * residual).sum(axis=1)
    return Lacks(_weighted(output, hide), lost)


def _weighted(weights: Words, values: Words) -> Words:
    """The sum of values, (units, rows), times a weight of each unit, (rows,)."""
    found: Words = np.einsum("j,ji->i", weights, values)
    return found
