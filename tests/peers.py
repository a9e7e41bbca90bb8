"""Two parties and a dealer in one process, over in-memory channels."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np

from common.disclosure import Opened
from common.learn.linear.deal import KEPT_BYTES, Masks, TrainingDemand, Work
from common.learn.linear.deal_scores import ScoreDemand, deal_scores
from common.match.agree import Match
from common.match.aided import match_aided
from common.match.intersect import intersect
from common.mpc.correlations.asked import Demand, PeriodDemand
from common.mpc.correlations.dealt import DealtCorrelations, take_seed
from common.mpc.counting.dealer import deal_counts
from common.mpc.counting.masks import CountsDemand
from common.mpc.dealer import Deal, Dealer, deal_periods
from common.mpc.fixedpoint import Words
from common.mpc.prg import SEED_BYTES, Prg, mark
from common.mpc.seeds import NONCE_BYTES, own_seed
from common.mpc.session import Array, Channel, Round, Session
from common.mpc.tags import Tagged, lifted, made, wide
from common.party import Party
from tests.channels import MemoryChannel, memory_pair

T = TypeVar("T")
ALL = frozenset(Opened)
NONCES = {party: party.value.encode().ljust(NONCE_BYTES) for party in Party}
KEYS = {party: party.value.encode().rjust(SEED_BYTES) for party in Party}


def _seeds(seed: int) -> Callable[[], bytes]:
    """A stand-in for the operating system's generator: a fixed sequence of distinct seeds."""
    count = itertools.count()
    return lambda: hashlib.sha256(f"{seed}/{next(count)}".encode()).digest()


async def seed_of(party: Party, dealer: Channel) -> bytes:
    """The seed this party makes of what it is dealt."""
    return own_seed((await take_seed(dealer)).seed, NONCES[party])


async def dealt_to(party: Party, dealer: Any) -> DealtCorrelations:
    """Correlations of that seed."""
    return DealtCorrelations(party, await seed_of(party, dealer), dealer, KEYS[party])


def tagged_shares(shares: dict[Party, Words], rng: np.random.Generator) -> dict[Party, Tagged]:
    """Each party's shares of the other's block with tags, as they are dealt."""

    def numbers(count: int) -> tuple[int, ...]:
        return wide(rng.integers(0, 2**64, 2 * count, np.uint64))

    values = {p: lifted(share, rng.integers(0, 2**64, len(share), np.uint64)) for p, share in shares.items()}
    pads = {p: numbers(len(shares[p.other])) for p in Party}
    tags = {p: made(Prg(bytes(32), KEYS[p.other]).factors(len(values[p])), values[p], pads[p.other]) for p in Party}
    return {p: Tagged(values[p], tags[p], pads[p], mark(KEYS[p]) + mark(KEYS[p.other])) for p in Party}


class Trio:
    """Sessions of both parties and the dealer's channels, for one job. `seed` makes its randomness repeatable.

    limit: arrays in flight each way between the parties (0: no bound).
    """

    def __init__(self, allowed: frozenset[Opened] = ALL, *, seed: int | None = None, limit: int = 0) -> None:
        grid, bank = memory_pair(limit)
        self.peer: dict[Party, MemoryChannel] = {Party.GRID: grid, Party.BANK: bank}
        self.session = {p: Session(p, self.peer[p], allowed=allowed) for p in Party}
        self.from_dealer: dict[Party, MemoryChannel] = {}
        self.to_party: dict[Party, MemoryChannel] = {}
        for party in Party:
            self.to_party[party], self.from_dealer[party] = memory_pair()
        self.neutral = Neutral()
        fresh = Prg.fresh_seed if seed is None else _seeds(seed)
        self.dealer = Dealer(dict(self.to_party), fresh, nonces=NONCES, keys=KEYS)

    async def run(
        self,
        protocol: Callable[[Session, DealtCorrelations], Awaitable[T]],
        deal: Callable[[Dealer], Awaitable[Any]],
    ) -> dict[Party, T]:
        """Runs `protocol` at both parties while `deal` runs at the dealer."""

        async def side(party: Party) -> T:
            correlations = await dealt_to(party, self.from_dealer[party])
            return await protocol(self.session[party], correlations)

        async def dealing() -> None:
            await self.dealer.seeds()
            await deal(self.dealer)

        grid, bank, _ = await asyncio.gather(side(Party.GRID), side(Party.BANK), dealing())
        return {Party.GRID: grid, Party.BANK: bank}


class Neutral:
    """The coordinator's part in one matching: `match` for each party, over lines that fail when it does.

    most: ids it lets a party bring. limit: messages in flight each way (0: no bound).
    """

    def __init__(self, most: int = 1 << 30, limit: int = 0) -> None:
        self._most = most
        self.at_party: dict[Party, MemoryChannel] = {}
        self.at_neutral: dict[Party, MemoryChannel] = {}
        for party in Party:
            self.at_party[party], self.at_neutral[party] = memory_pair(limit)
        self.work: asyncio.Task[int] | None = None

    def match(self, party: Party) -> Match:
        return functools.partial(match_aided, neutral=functools.partial(self.line, party))

    @asynccontextmanager
    async def line(self, party: Party) -> AsyncIterator[Channel]:
        self.work = self.work or asyncio.create_task(intersect(self.at_neutral, self._most))
        yield _Failing(self.at_party[party], self.work)


class _Failing:
    """A channel whose reader hears what ends the other side."""

    def __init__(self, channel: Channel, work: asyncio.Task[int]) -> None:
        self._channel, self._work = channel, work
        self.send = channel.send

    async def receive(self, round: Round) -> Array:
        coming = asyncio.ensure_future(self._channel.receive(round))
        await asyncio.wait((coming, self._work), return_when=asyncio.FIRST_COMPLETED)
        if not coming.done() and self._work.exception() is not None:
            coming.cancel()
            self._work.result()
        return await coming


class DealerEnd(MemoryChannel):
    """A party's end of the dealer's channel; its demands go to a queue, None after the last."""

    def __init__(self, end: MemoryChannel) -> None:
        super().__init__(end._out, end._in)
        self.asked: asyncio.Queue[Demand | None] = asyncio.Queue()

    async def demand(self, demand: Demand) -> None:
        await self.asked.put(demand)

    async def demands(self) -> AsyncIterator[Demand]:
        while (demand := await self.asked.get()) is not None:
            yield demand


BASE: dict[type[Demand], Deal] = {PeriodDemand: deal_periods, CountsDemand: deal_counts, ScoreDemand: deal_scores}


async def deal_work(dealer: Dealer, work: Work, memory: int = KEPT_BYTES) -> None:
    """Deals one training of the linear model, without its having been asked for: a small one, in the loop."""
    await dealer.deal(Masks(dealer._prg, work, memory).deal(), 0)


async def coordinate(
    trio: Trio,
    protocol: Callable[[Session, DealtCorrelations], Awaitable[T]],
    work: Callable[[TrainingDemand], Work] | None = None,
    more: Mapping[type[Demand], Deal] | None = None,
) -> dict[Party, T]:
    """Runs `protocol` at both parties while the dealer serves what they ask for, as a coordinator would.

    work: what a training of the linear model is dealt; more: how other demands are dealt. Raises the first error of any of the
    three, after the others have ended.
    """
    ends = {party: DealerEnd(trio.from_dealer[party]) for party in Party}

    async def side(party: Party) -> T:
        correlations = await dealt_to(party, ends[party])
        result = await protocol(trio.session[party], correlations)
        await ends[party].asked.put(None)
        return result

    dealt = BASE | dict(more or {})
    if work is not None:
        dealt[TrainingDemand] = lambda prg, demand: Masks(prg, work(demand)).deal()
    demands = {party: ends[party].demands() for party in Party}
    sides = [asyncio.create_task(side(party)) for party in Party]
    tasks = [*sides, asyncio.create_task(trio.dealer.serve(demands, dealt))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {party: task.result() for party, task in zip(Party, sides, strict=True)}
