"""The dealer: runs each step of a job on the masks alone and deals what the parties cannot expand from their seeds.

It knows both seeds, the sizes and the plan's steps; it sees no message between the parties. PROTOCOL.md sections 3 to 6.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import PeerProtocolError
from common.learn.linear.descent import CACHE_ROWS, Span, Step
from common.mpc.correlations import Demand, MaskRows, PeriodDemand, TrainingDemand, dealt_tables, matrix_mask, ridge_mask
from common.mpc.counting.dealer import deal_counts
from common.mpc.counting.masks import CountsDemand
from common.mpc.fixedpoint import UPDATE_SHIFT, WEIGHT_SCALE, Words, encode, top32
from common.mpc.link import Link
from common.mpc.prg import Prg, Purpose
from common.mpc.product import backward, forward
from common.mpc.session import Channel, Kind, Round
from common.party import Party

KEPT_BYTES = 1 << 30
_LOW63 = np.uint64((1 << 63) - 1)


@dataclass(frozen=True)
class Work:
    """What a job's dealing depends on: all public. revealed_bits: the grid of the final weights, None for owned weights."""

    steps: list[Step]
    link: Link
    rows: int
    columns: dict[Party, int]
    revealed_bits: int | None


class Dealer:
    """One job's dealer. Channels: one to each party; `send` waits while a party is a window behind, which drives the rounds.

    memory: bytes of matrix masks it may keep; of larger ones each block is expanded anew at each step.
    """

    def __init__(
        self, channels: dict[Party, Channel], fresh_seed: Callable[[], bytes] = Prg.fresh_seed, memory: int = KEPT_BYTES
    ) -> None:
        self._channels, self._memory = channels, memory
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
            grid, bank = await asyncio.gather(*(_next(demands[party]) for party in Party))
            if grid != bank:
                raise PeerProtocolError("the parties ask the dealer for different things", expected=grid, got=bank)
            if grid is None:
                return
            if type(grid) in served:
                raise PeerProtocolError("the parties ask the dealer for the same thing twice", got=grid)
            served.add(type(grid))
            if isinstance(grid, PeriodDemand):
                await self.periods(grid.words)
            elif isinstance(grid, CountsDemand):
                await self.counts(grid)
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

    async def counts(self, demand: CountsDemand) -> None:
        """The bank's shares of all that counting labels by bin needs."""
        if not demand.fits:
            raise PeerProtocolError("the parties ask the dealer for too many bins or rows", got=demand)
        dealing = deal_counts(self._prg, demand)
        while (ready := await asyncio.to_thread(next, dealing, None)) is not None:
            await self._channels[Party.BANK].send(Round(Kind.DEALT_COUNTS, ready[0]), ready[1])

    async def training(self, work: Work) -> None:
        """All steps of a job, then the truncation before the weights are opened."""
        masks = await asyncio.to_thread(_Masks, self._prg, work, self._memory)
        dealing = masks.deal()
        ready = await asyncio.to_thread(next, dealing, None)
        while ready is not None:
            ahead = asyncio.create_task(asyncio.to_thread(next, dealing, None))  # computes while this is sent
            for party, label, values in ready:
                await self._channels[party].send(label, values)
            ready = await ahead


async def _next(demands: AsyncIterator[Demand]) -> Demand | None:
    return await anext(demands, None)


Dealt = list[tuple[Party, Round, Words]]


class _Masks:
    """The matrices' masks and the computation on masks, for one job."""

    def __init__(self, prg: dict[Party, Prg], work: Work, memory: int) -> None:
        self._prg, self._work = prg, work
        kept = 8 * work.rows * sum(work.columns.values()) <= memory
        mask = matrix_mask if kept else MaskRows
        self._matrix = {party: mask(prg[party], work.rows, work.columns[party]) for party in Party}
        self._ridge = {party: ridge_mask(prg[party], work.columns[party]) for party in Party}

    def deal(self) -> Iterator[Dealt]:
        """Everything the job consumes, in the order in which the parties ask for it."""
        bits = self._work.revealed_bits
        for step in self._work.steps:
            yield from self._owned_step(step) if bits is None else self._shared_step(step)
        if bits is not None and bits < WEIGHT_SCALE:
            yield self.truncation(
                len(self._work.steps), np.zeros(sum(self._work.columns.values()), np.uint64), WEIGHT_SCALE - bits
            )

    def _shared_step(self, step: Step) -> Iterator[Dealt]:
        # The mask of the grid's weights is the bank's, since the bank hides its share of them; and the reverse.
        weights = {p: self._prg[p.other].words(Purpose.WEIGHTS, step.number, self._work.columns[p]) for p in Party}
        update = {p: forward(self._ridge[p], weights[p]) for p in Party}
        for span in step.spans():
            grid, bank = (forward(self._matrix[p][span.slice], weights[p]) for p in Party)
            yield self._link(step, span, grid + bank)
            self._add_residual_offsets(span, update)
        negated = np.uint64(0) - np.concatenate([update[p] for p in Party])  # a step subtracts the update
        yield self.truncation(step.number, negated, UPDATE_SHIFT)

    def _owned_step(self, step: Step) -> Iterator[Dealt]:
        offsets = {p: np.zeros(self._work.columns[p], np.uint64) for p in Party}
        for span in step.spans():
            yield self._link(step, span, np.zeros(span.rows, np.uint64))
            self._add_residual_offsets(span, offsets)
        own = {p: self._prg[p].words(Purpose.GRADIENT, step.number, len(offsets[p])) for p in Party}
        yield [(p.other, Round(Kind.DEALT_GRADIENT, step.number), offsets[p] - own[p]) for p in Party]

    def _add_residual_offsets(self, span: Span, total: dict[Party, Words]) -> None:
        for party in Party:
            hide = self._prg[party.other].words(Purpose.RESIDUAL, span.number, span.rows)
            total[party] += backward(self._matrix[party][span.slice], hide)

    def _link(self, step: Step, span: Span, offset: Words) -> Dealt:
        """Shares of the tables at a, the angle that completes what the parties open."""
        link, rows = step.link(self._work.link), span.rows
        a = top32(offset, link.bits)
        for party in Party:
            a = a + self._prg[party].half_words(Purpose.ANGLE, span.number, rows)
        dealt = {p: dealt_tables(link, p) for p in Party}
        seeded = {p: self._prg[p].words(Purpose.LINK, span.number, len(dealt[p.other]) * rows).reshape(-1, rows) for p in Party}
        out = {p: np.empty((len(dealt[p]), rows), np.uint64) for p in Party}
        place = {j: (p, i) for p in Party for i, j in enumerate(dealt[p])}
        for low in range(0, rows, CACHE_ROWS):
            part = slice(low, low + CACHE_ROWS)
            for j, values in enumerate(link.table_values(a[part])):
                party, i = place[j]
                np.subtract(encode(values, step.scales.table), seeded[party.other][i, part], out=out[party][i, part])
        return [(p, Round(Kind.DEALT_LINK, span.number), out[p]) for p in Party]

    def truncation(self, number: int, offset: Words, shift: int) -> Dealt:
        """Shares of r's shifted body and top bit, r being both masks less what the parties' sums lack."""
        count = len(offset)
        r = -offset
        for party in Party:
            r = r + self._prg[party].words(Purpose.TRUNCATION, number, count)
        body = ((r & _LOW63) >> np.uint64(shift)) - self._prg[Party.GRID].words(Purpose.TRUNCATION_BODY, number, count)
        top = (r >> np.uint64(63)) - self._prg[Party.BANK].words(Purpose.TRUNCATION_TOP, number, count)
        label = Round(Kind.DEALT_TRUNCATION, number)
        return [(Party.BANK, label, body), (Party.GRID, label, top)]
