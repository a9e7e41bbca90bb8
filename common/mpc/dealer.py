"""The dealer: gives both parties their seeds, then deals what they ask for and cannot expand from these.

It knows both seeds and what is public; it sees no message between the parties. PROTOCOL.md sections 1 to 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import numpy as np

from common.errors import PeerProtocolError
from common.mpc.correlations.asked import Demand, PeriodDemand, once
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.seeds import own_seed
from common.mpc.session import Array, Channel, Kind, Round
from common.party import Party

_LOW63 = np.uint64((1 << 63) - 1)

Prgs = Mapping[Party, Prg]
Dealt = list[tuple[Party, Round, Array]]
Deal = Callable[[Prgs, Any], Iterator[Dealt]]  # of one demand, in the order in which the parties ask for it


class Dealer:
    """One job's dealer. Channels: one to each party; `send` waits while a party is a window behind, which drives the rounds."""

    def __init__(
        self,
        channels: dict[Party, Channel],
        fresh_seed: Callable[[], bytes] = Prg.fresh_seed,
        *,
        nonces: Mapping[Party, bytes],
    ) -> None:
        self._channels = channels
        self._seeds = {party: fresh_seed() for party in Party}
        self._prg = {party: Prg(own_seed(seed, nonces[party])) for party, seed in self._seeds.items()}

    async def serve(self, demands: Mapping[Party, AsyncIterator[Demand]], dealings: Mapping[type[Demand], Deal]) -> None:
        """Deals what both parties ask for until both are done. dealings: how, by the type of what is asked.

        Raises PeerProtocolError when they ask for different things, or for one kind twice, whose masks would hide two
        values each.
        """
        await self.seeds()
        served: set[tuple[type[Demand], int]] = set()
        while True:
            grid, bank = await asyncio.gather(*(_next(demands[party]) for party in Party))
            if grid != bank:
                raise PeerProtocolError("the parties ask the dealer for different things", expected=grid, got=bank)
            if grid is None:
                return
            if once(grid) in served:
                raise PeerProtocolError("the parties ask the dealer for the same thing twice", got=grid)
            served.add(once(grid))
            if (deal := dealings.get(type(grid))) is None:
                raise PeerProtocolError("the parties ask the dealer for what this job does not consume", got=grid)
            await self.deal(deal(self._prg, grid))

    async def seeds(self) -> None:
        """Gives each party its seed: the first thing on both channels."""
        for party, seed in self._seeds.items():
            await self._channels[party].send(Round(Kind.SEED, 0), np.frombuffer(seed, np.uint8))

    async def deal(self, dealing: Iterator[Dealt]) -> None:
        """Sends what `dealing` computes, one item ahead of what is sent."""
        ready = await asyncio.to_thread(next, dealing, None)
        while ready is not None:
            ahead = asyncio.create_task(asyncio.to_thread(next, dealing, None))  # computes while this is sent
            for party, label, values in ready:
                await self._channels[party].send(label, values)
            ready = await ahead


async def _next(demands: AsyncIterator[Demand]) -> Demand | None:
    return await anext(demands, None)


def deal_periods(prg: Prgs, demand: PeriodDemand) -> Iterator[Dealt]:
    """A share for the bank of the bitwise product of both masks; the grid expands its own."""
    masks = [prg[party].words(Purpose.PERIODS, 0, demand.words) for party in Party]
    mine = prg[Party.GRID].words(Purpose.PERIOD_PRODUCT, 0, demand.words)
    yield [(Party.BANK, Round(Kind.DEALT_PERIODS, 0), (masks[0] & masks[1]) ^ mine)]


def deal_truncation(prg: Prgs, number: int, offset: Words, shift: int) -> Dealt:
    """Shares of r's shifted body and top bit, r being both masks less what the parties' sums lack."""
    count = len(offset)
    r = -offset
    for party in Party:
        r = r + prg[party].words(Purpose.TRUNCATION, number, count)
    body = ((r & _LOW63) >> np.uint64(shift)) - prg[Party.GRID].words(Purpose.TRUNCATION_BODY, number, count)
    top = (r >> np.uint64(63)) - prg[Party.BANK].words(Purpose.TRUNCATION_TOP, number, count)
    label = Round(Kind.DEALT_TRUNCATION, number)
    return [(Party.BANK, label, body), (Party.GRID, label, top)]
