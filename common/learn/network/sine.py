"""Hidden units that take the sine of their sums: their part of a step, and what is dealt for it. PROTOCOL.md section 15.

Arrays are (units, rows).
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from common.learn.network.scales import FORWARD, SUM, Scales
from common.learn.network.units import Lacks, Output, Seat, Which
from common.mpc.circle import Turns
from common.mpc.dealer import Dealt, Prgs, both_halves, deal_halves
from common.mpc.fixedpoint import Words, top32
from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.mpc.sine import PERIOD_BITS, Circle, tables

BITS = SUM + PERIOD_BITS  # low bits of a word of a sum that a period spans


@dataclass(frozen=True, repr=False)
class HeldSine:
    """What the way back needs of the way forth: shares of cosine and sine of the angles, alone and times the mask.

    masked: both times the residual's mask; empty where nothing is trained.
    """

    scales: Scales
    circle: Circle
    cos: Words
    sin: Words
    masked: tuple[Words, ...]

    def pulled(self, opened: Words, share: Words, hide: Words) -> tuple[Words, Words]:
        """As `Held.pulled` says; nothing is lacking."""
        cos, sin = opened * self.cos + self.masked[0], opened * self.sin + self.masked[1]
        slope, value = self.circle.slope(self.scales.unit), self.circle.value(self.scales.unit)
        back: Words = slope[0] * cos + slope[1] * sin
        return back, (value[0] * cos + value[1] * sin).sum(axis=1)


class SineMasks:
    """What `rows` rows consume at one party under one number; what is dealt of it is fetched when it is first asked for.

    angle: its half of what hides the angles, (units, rows).
    """

    def __init__(self, seat: Seat, number: int, units: int, rows: int, *, trained: bool) -> None:
        self._correlations, self._number, self._whole, self._count = (
            seat.correlations,
            number,
            (units, rows),
            6 if trained else 4,
        )
        self.angle = self._correlations.half_mask(Purpose.UNIT_ANGLE, number, units * rows).reshape(self._whole)
        self._shares: list[Words] | None = None

    async def shares(self) -> list[Words]:
        """Of the tables at the angles, (units, rows) each."""
        if self._shares is None:
            cells = math.prod(self._whole)
            found = await self._correlations.halves(Kind.DEALT_HIDDEN, Purpose.UNITS, self._number, self._count, cells)
            self._shares = [values.reshape(self._whole) for values in found]
        return self._shares

    async def ready(self) -> None:
        """Fetches it."""
        await self.shares()


async def look_up(
    session: Session, masks: SineMasks, at: Which, sums: Words, output: Output, scales: Scales, *, spare: bool = False
) -> tuple[Words, HeldSine]:
    """A share of u, (rows,) at `scales.output`, without the output's intercept, and what the way back needs.

    at: the rows among those that masks were taken for. sums: this party's share of the units' sums, off by what the dealer
    knows. One round, 4 bytes a unit and row each way; spare: nothing more.
    """
    mine: Turns = top32(sums, BITS) - masks.angle[:, at]
    c = mine + await session.exchange(Kind.MASKED_HIDDEN, mine)
    cos, out_sin, sin, out_cos, *masked = (values[:, at] for values in await masks.shares())

    def finish() -> tuple[Words, HeldSine]:
        circle = Circle(c)
        of_cos, of_sin = circle.value(FORWARD)
        w = output.opened[:, None]
        u: Words = (of_cos * (w * cos + out_cos) + of_sin * (w * sin + out_sin)).sum(axis=0)
        return u, HeldSine(scales, circle, cos, sin, tuple(masked))

    return await session.compute(finish, 8 * sums.size)


def deal(
    prg: Prgs, number: int, offset: Words, output: Words, residual: Words | None, scales: Scales
) -> Generator[Dealt, None, Lacks]:
    """Shares of cosine and sine of the angles, alone, times the mask of the output weights, and times the residual's mask.

    Returns what is lacking later: nothing. offset: what the parties' sums lack, (units, rows). output: (units,). residual:
    (rows,), None where nothing is trained.
    """
    angle = top32(offset, BITS) + both_halves(prg, Purpose.UNIT_ANGLE, number, offset.size).reshape(offset.shape)
    cos, sin = tables(angle, scales.unit)
    w = output[:, None]
    arrays = [cos, w * sin, sin, w * cos]
    if residual is not None:
        arrays += [residual * cos, residual * sin]
    yield deal_halves(prg, Kind.DEALT_HIDDEN, Purpose.UNITS, number, [np.ravel(values) for values in arrays])
    return Lacks(np.zeros(offset.shape[1], np.uint64), np.zeros(len(offset), np.uint64))
