"""The dealer of several banks: one for each line between the grid and a bank, and what is dealt for all lines together.

It knows all seeds, those that all banks hold alike among them, and sees no message of the parties. PROTOCOL.md section 16.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import PeerProtocolError
from common.mpc.beside import side_by_side
from common.mpc.correlations.asked import Demand
from common.mpc.dealer import Clock, Deal, Dealer, Dealt, Parts, Prgs, dealt_ahead, item_words
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.seeds import commitments, own_seed
from common.mpc.session import Array, Channel, Kind, Round
from common.mpc.several.hub import SumDemand, rounded_sum
from common.mpc.several.seeds import COMMON, NONCES, common_nonce
from common.party import Party
from common.unheard import unheard

Tagged = list[tuple[int, Party, Round, Array]]  # of which line


@dataclass(frozen=True)
class Masks:
    """All that is expanded on either end: of each line, and of the grid and all banks as one party."""

    lines: tuple[Prgs, ...]
    hub: Prgs


Together = Callable[[Masks, Sequence[Any]], Iterator[Tagged]]  # of one demand of each line, in the plan's order


class SeveralDealer:
    """One job's dealer. channels, nonces and keys: of each line, in the plan's order; common: nonces for the seed of all banks.
    names: of the banks, as errors have them.

    What is dealt for all lines goes to the grid on the first line's channel, and to each bank on its own.
    """

    def __init__(
        self,
        channels: Sequence[Mapping[Party, Channel]],
        nonces: Sequence[Mapping[Party, bytes]],
        keys: Sequence[Mapping[Party, bytes]],
        common: Sequence[Mapping[Party, bytes]],
        names: Sequence[str],
        fresh_seed: Callable[[], bytes] = Prg.fresh_seed,
        *,
        clock: Clock | None = None,
    ) -> None:
        """clock: as of `Dealer`."""
        self._channels, self._names, self._clock = channels, names, clock
        brought = zip(channels, nonces, keys, strict=True)
        self._lines = [Dealer(dict(c), fresh_seed, nonces=n, keys=k, clock=clock) for c, n, k in brought]
        self._seeds = {party: fresh_seed() for party in Party}
        self._nonces = [each[Party.BANK] for each in common]
        bringing = {Party.GRID: common[0][Party.GRID], Party.BANK: common_nonce(self._nonces)}
        made = {party: own_seed(seed, bringing[party]) for party, seed in self._seeds.items()}
        self._committed = commitments(made)
        self._masks = Masks(tuple(line.expanded for line in self._lines), {party: Prg(seed) for party, seed in made.items()})
        self._waiting: dict[int, Demand] = {}
        self._dealt: asyncio.Future[None] | None = None

    async def serve(
        self,
        demands: Sequence[Mapping[Party, AsyncGenerator[Demand]]],
        dealings: Mapping[type[Demand], Deal],
        together: Mapping[type[Demand], Together],
    ) -> None:
        """Deals what each line asks for, and for all lines what all of them ask for, until all are done.

        Raises PeerProtocolError when the parties of a line, or the lines, ask for different things.
        """
        common = {party: np.frombuffer(seed + self._committed, np.uint8) for party, seed in self._seeds.items()}
        for line, channels in enumerate(self._channels):
            await self._lines[line].seeds()
            if line == 0:
                await channels[Party.GRID].send(COMMON, common[Party.GRID])
            await channels[Party.BANK].send(COMMON, common[Party.BANK])
            await channels[Party.BANK].send(NONCES, np.frombuffer(b"".join(self._nonces), np.uint8))
        await side_by_side(self._line(line, demands[line], dealings, together) for line in range(len(demands)))

    async def _line(
        self,
        line: int,
        demands: Mapping[Party, AsyncGenerator[Demand]],
        dealings: Mapping[type[Demand], Deal],
        together: Mapping[type[Demand], Together],
    ) -> None:
        async def wait(kind: type[Demand], demand: Demand) -> None:
            await self._meet(line, demand, together[kind])

        elsewhere = {kind: (lambda demand, kind=kind: wait(kind, demand)) for kind in together}
        await self._lines[line].follow(demands, dealings, elsewhere, self._names[line])

    async def _meet(self, line: int, demand: Demand, deal: Together) -> None:
        """Waits until all lines have asked; the last one deals for all."""
        if self._dealt is None:
            self._dealt = unheard(asyncio.get_running_loop().create_future())
        dealt, self._waiting[line] = self._dealt, demand
        if len(self._waiting) < len(self._lines):
            await asyncio.shield(dealt)
            return
        asked, self._waiting, self._dealt = [self._waiting[k] for k in range(len(self._lines))], {}, None
        try:
            if {type(each) for each in asked} != {type(demand)}:
                raise PeerProtocolError("the banks ask the dealer for different things", expected=asked[0], got=demand)
            await self._deal(deal(self._masks, asked), sum(item_words(each) for each in asked))
        except BaseException as error:
            dealt.set_exception(error if isinstance(error, Exception) else PeerProtocolError("dealing was cut off"))
            raise
        dealt.set_result(None)

    async def _deal(self, dealing: Iterator[Tagged], words: int) -> None:
        async with dealt_ahead(dealing, words, self._clock) as coming:
            while (ready := await coming()) is not None:
                for line, party, label, values in ready:
                    await self._channels[line][party].send(label, values)


def on_line(line: int, dealing: Generator[Dealt, None, Words]) -> Generator[Tagged, None, Words]:
    """What is dealt to one line; returns what `dealing` returns."""
    while True:
        try:
            dealt = next(dealing)
        except StopIteration as over:
            found: Words = over.value
            return found
        yield [(line, *one) for one in dealt]


class AtGrid(Parts):
    """All banks expand their share of both parts, and the grid alone is dealt: the same would be dealt to each of the banks."""

    def share(self, prg: Prgs, number: int, body: Words, top: Words, *, carries: bool = False) -> Dealt:
        bank = self._expanded(prg, number, len(body))
        top = top - (bank[0] > body) if carries else top
        return [(Party.GRID, Round(Kind.DEALT_TRUNCATION, number), np.concatenate([body - bank[0], top - bank[1]]))]

    def halves(self, prg: Prgs, kind: Kind, purpose: Purpose, number: int, arrays: Sequence[Words]) -> Dealt:
        whole = np.stack(arrays)
        bank = prg[Party.BANK].words(purpose, number, whole.size).reshape(whole.shape)
        return [(Party.GRID, Round(kind, number), whole - bank)]

    def held(self, prg: Prgs, dealt: Dealt) -> Mapping[Party, tuple[Words, Words]]:
        ((_, label, words),) = dealt
        count = len(words) // 2
        return {Party.GRID: (words[:count], words[count:]), Party.BANK: self._expanded(prg, label.number, count)}

    @staticmethod
    def _expanded(prg: Prgs, number: int, count: int) -> tuple[Words, Words]:
        bank = prg[Party.BANK]
        return bank.words(Purpose.TRUNCATION_BODY, number, count), bank.words(Purpose.TRUNCATION_TOP, number, count)


def to_all(lines: int, dealt: Dealt) -> Tagged:
    """What is dealt to the grid and to all banks as one party: to each of them the same."""
    return [(line, *one) for one in dealt for line in range(lines if one[0] is Party.BANK else 1)]


def deal_sum(masks: Masks, number: int, count: int) -> Tagged:
    """What the grid lacks of a sum: the masks of all banks, less the share that the banks keep."""
    total = -masks.hub[Party.BANK].words(Purpose.SUM_OUT, number, count)
    for line in masks.lines:
        total += line[Party.BANK].words(Purpose.SUM, number, count)
    return [(0, Party.GRID, Round(Kind.DEALT_SUM, number), total)]


def deal_sums(masks: Masks, asked: Sequence[SumDemand]) -> Iterator[Tagged]:
    """One sum, and its truncation if it has one. Raises PeerProtocolError where the lines ask for different ones."""
    first = asked[0]
    if any(other != first for other in asked):
        raise PeerProtocolError("the banks ask the dealer for different sums", expected=first, got=asked)
    yield deal_sum(masks, first.number, first.words)
    if first.shift:
        offset = np.zeros(first.words, np.uint64)
        yield to_all(len(masks.lines), AtGrid().deal(masks.hub, rounded_sum(first.number), offset, first.shift))
