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
from common.learn.network.units import Lacks, Output, Seat
from common.mpc.compare.dealer import deal_signs
from common.mpc.compare.signs import hidden_signs
from common.mpc.dealer import Dealt, Prgs, both, deal_halves
from common.mpc.fixedpoint import Words, top32
from common.mpc.prg import Purpose
from common.mpc.session import Kind
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


async def forward(
    seat: Seat, number: int, sums: Words, output: Output, scales: Scales, *, trained: bool, dealt: int | None = None
) -> tuple[Words, HeldRelu]:
    """A share of u, (rows,) at `scales.output`, without the output's intercept and off by what the dealer knows.

    And what the way back needs. sums: this party's share of the units' sums, of magnitudes below 16, off by what the dealer
    knows. dealt: rows that were dealt for, if more. A sum in [0, 2^-12) may count as below zero. Four rounds, 16 7/8 bytes a
    unit and row each way: the sums, their digits' bits, the signs, the values.
    """
    session, correlations, (units, rows) = seat.session, seat.correlations, sums.shape
    whole = (units, dealt or rows)
    cells = math.prod(whole)

    def of(purpose: Purpose) -> Words:
        return correlations.mask(purpose, number, cells).reshape(whole)[:, :rows]

    mask = of(Purpose.UNIT_SUMS)
    mine = sums + mask
    c = mine + await session.exchange(Kind.MASKED_HIDDEN, mine)
    padded = np.zeros(whole, np.uint64)
    padded[:, :rows] = c
    signs = await hidden_signs(session, seat.source, number, top32(padded, BITS).ravel())
    shares = await correlations.halves(Kind.DEALT_HIDDEN, Purpose.UNITS, number, 4 if trained else 3, cells)
    bit, lack, product, *masked = (values.reshape(whole)[:, :rows] for values in shares)
    above = np.uint64(1) - signs.reshape(whole)[:, :rows].astype(np.uint64)
    flip = np.uint64(1) - np.uint64(2) * above
    hide = of(Purpose.UNIT_VALUES)

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
