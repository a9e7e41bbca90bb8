"""The dealer: runs each step of a job on the masks alone and deals what the parties cannot expand from their seeds.

It knows both seeds, the sizes and the plan's steps; it sees no message between the parties. PROTOCOL.md sections 3 to 6.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from common.errors import PeerProtocolError
from common.mpc.correlation import Demand, PeriodDemand, TrainingDemand, dealt_tables, matrix_mask, ridge_mask
from common.mpc.descent import Step
from common.mpc.fixedpoint import UPDATE_SHIFT, WEIGHT_SCALE, Words, encode, top32
from common.mpc.link import Link
from common.mpc.prg import Prg, Purpose
from common.mpc.product import backward, forward
from common.mpc.session import Channel, Kind, Round
from common.party import Party

_LOW63 = np.uint64((1 << 63) - 1)


@dataclass(frozen=True)
class Work:
    """What a job's dealing depends on: all public. revealed_bits: the grid of the final weights, None for owned weights."""

    steps: list[Step]
    link: Link
    rows: int
    columns: dict[Party, int]
    revealed_bits: int | None


@dataclass(repr=False)
class _Offsets:
    """Mask times mask, grid's block then bank's: what the parties' local sums are off by."""

    grid: Words
    bank: Words

    def joined(self) -> Words:
        return np.concatenate([self.grid, self.bank])


class Dealer:
    """One job's dealer. Channels: one to each party; `send` waits while a party is a window behind, which drives the rounds."""

    def __init__(self, channels: dict[Party, Channel], fresh_seed: Callable[[], bytes] = Prg.fresh_seed) -> None:
        self._channels = channels
        self._seeds = {party: fresh_seed() for party in Party}
        self._prg = {party: Prg(seed) for party, seed in self._seeds.items()}

    async def serve(self, demands: dict[Party, AsyncIterator[Demand]], work: Callable[[TrainingDemand], Work]) -> None:
        """Deals what both parties ask for until both are done.

        Raises PeerProtocolError when they ask for different things, or for one kind twice, whose masks would hide two
        values each.
        """
        await self.seeds()
        served: set[type[Demand]] = set()
        while True:
            asked = {party: await anext(demands[party], None) for party in Party}
            grid, bank = asked[Party.GRID], asked[Party.BANK]
            if grid != bank:
                raise PeerProtocolError("the parties ask the dealer for different things", expected=grid, got=bank)
            if grid is None:
                return
            if type(grid) in served:
                raise PeerProtocolError("the parties ask the dealer for the same thing twice", got=grid)
            served.add(type(grid))
            if isinstance(grid, PeriodDemand):
                await self.periods(grid.words)
            else:
                await self.training(work(grid))

    async def seeds(self) -> None:
        """Gives each party its seed: the first thing on both channels."""
        for party, seed in self._seeds.items():
            await self._channels[party].send(Round(Kind.SEED, 0), np.frombuffer(seed, np.uint8))

    async def periods(self, words: int) -> None:
        """A share for the bank of the bitwise product of both masks over `words` words; the grid expands its own."""
        masks = [self._prg[party].words(Purpose.PERIODS, 0, words) for party in Party]
        mine = self._prg[Party.GRID].words(Purpose.PERIOD_PRODUCT, 0, words)
        await self._channels[Party.BANK].send(Round(Kind.DEALT_PERIODS, 0), (masks[0] & masks[1]) ^ mine)

    async def training(self, work: Work) -> None:
        """All steps of a job, then the truncation before the weights are opened."""
        masks = await asyncio.to_thread(_Masks, self._prg, work)
        for step in work.steps:
            deal = masks.shared_step if work.revealed_bits is not None else masks.owned_step
            for party, kind, values in await asyncio.to_thread(deal, step):
                await self._channels[party].send(Round(kind, step.number), values)
        if work.revealed_bits is not None and work.revealed_bits < WEIGHT_SCALE:
            number = len(work.steps)
            none = np.zeros(sum(work.columns.values()), np.uint64)
            for party, kind, values in masks.truncation(number, none, WEIGHT_SCALE - work.revealed_bits):
                await self._channels[party].send(Round(kind, number), values)


Dealt = list[tuple[Party, Kind, Words]]


class _Masks:
    """The matrices' masks and the computation on masks, for one job."""

    def __init__(self, prg: dict[Party, Prg], work: Work) -> None:
        self._prg, self._work = prg, work
        self._matrix = {party: matrix_mask(prg[party], work.rows, work.columns[party]) for party in Party}
        self._ridge = {party: ridge_mask(prg[party], work.columns[party]) for party in Party}

    def shared_step(self, step: Step) -> Dealt:
        # The mask of the grid's weights is the bank's, since the bank hides its share of them; and the reverse.
        weights = {p: self._prg[p.other].words(Purpose.WEIGHTS, step.number, self._work.columns[p]) for p in Party}
        u = sum(forward(self._matrix[p][step.low : step.high], weights[p]) for p in Party)
        update = self._residual_offsets(step)
        for party, vector in ((Party.GRID, update.grid), (Party.BANK, update.bank)):
            vector += forward(self._ridge[party], weights[party])
        negated = np.uint64(0) - update.joined()  # a step subtracts the update
        return self._link(step, np.asarray(u)) + self.truncation(step.number, negated, UPDATE_SHIFT)

    def owned_step(self, step: Step) -> Dealt:
        offsets = self._residual_offsets(step)
        dealt = self._link(step, np.zeros(step.rows, np.uint64))
        for party, vector in ((Party.GRID, offsets.grid), (Party.BANK, offsets.bank)):
            own = self._prg[party].words(Purpose.GRADIENT, step.number, len(vector))
            dealt.append((party.other, Kind.DEALT_GRADIENT, vector - own))
        return dealt

    def _residual_offsets(self, step: Step) -> _Offsets:
        hide = {p: self._prg[p.other].words(Purpose.RESIDUAL, step.number, step.rows) for p in Party}
        grid, bank = (backward(self._matrix[p][step.low : step.high], hide[p]) for p in (Party.GRID, Party.BANK))
        return _Offsets(grid, bank)

    def _link(self, step: Step, offset: Words) -> Dealt:
        """Shares of the tables at a, the angle that completes what the parties open."""
        link, scales = self._work.link, step.scales
        a = top32(offset, link.bits)
        for party in Party:
            a = a + self._prg[party].half_words(Purpose.ANGLE, step.number, step.rows)
        receiver = {j: party for party in Party for j in dealt_tables(link, party)}
        seeded = {
            party: iter(
                self._prg[party]
                .words(Purpose.LINK, step.number, len(dealt_tables(link, party.other)) * step.rows)
                .reshape(-1, step.rows)
            )
            for party in Party
        }
        out = {party: np.empty((len(dealt_tables(link, party)), step.rows), np.uint64) for party in Party}
        for j, values in enumerate(link.table_values(a)):
            party = receiver[j]
            np.subtract(encode(values, scales.table), next(seeded[party.other]), out=out[party][j // 2])
        return [(party, Kind.DEALT_LINK, out[party]) for party in Party]

    def truncation(self, number: int, offset: Words, shift: int) -> Dealt:
        """Shares of r's shifted body and top bit, r being both masks less what the parties' sums lack."""
        count = len(offset)
        r = -offset
        for party in Party:
            r = r + self._prg[party].words(Purpose.TRUNCATION, number, count)
        body = ((r & _LOW63) >> np.uint64(shift)) - self._prg[Party.GRID].words(Purpose.TRUNCATION_BODY, number, count)
        top = (r >> np.uint64(63)) - self._prg[Party.BANK].words(Purpose.TRUNCATION_TOP, number, count)
        return [(Party.BANK, Kind.DEALT_TRUNCATION, body), (Party.GRID, Kind.DEALT_TRUNCATION, top)]
