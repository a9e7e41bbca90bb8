"""The dealer: gives both parties their seeds, then deals what they ask for and cannot expand from these.

It knows both seeds and what is public; it sees no message between the parties. PROTOCOL.md sections 1 to 4.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from common.errors import PeerLost, PeerProtocolError
from common.mpc.beside import one_ahead, side_by_side
from common.mpc.circle import Points, Turns, whole
from common.mpc.correlations.asked import Demand, PeriodDemand, once
from common.mpc.correlations.dealt import SEED, dealt_tables
from common.mpc.fixedpoint import Words, encode
from common.mpc.link import CACHE_ROWS, Link
from common.mpc.prg import Prg, Purpose
from common.mpc.ring128 import Doubles
from common.mpc.seeds import commitments, own_seed
from common.mpc.session import OFFLOAD_WORDS, Array, Channel, Kind, Round, compute
from common.mpc.short import WIDE, Short, dealt_place
from common.mpc.tags import LIMBS, lifted, made, narrow, total, wide
from common.party import Party

T = TypeVar("T")
_LOW63 = np.uint64((1 << 63) - 1)
_LONG = 2e-3  # seconds of processor time of one item, of which a hop to a thread is a small part
_CELL_WORDS = 8  # of a cell of both matrices: what is dealt at a time for a row of few columns is some hundred words

Clock = Callable[[], float]
Prgs = Mapping[Party, Prg]
Dealt = list[tuple[Party, Round, Array]]
Runs = Callable[[int], Awaitable[Mapping[Party, Channel]]]  # of a run of rows, from 1: the channels on which it is dealt


class OfRun(Dealt):
    """Arrays that go over the channels of one run of rows, from 1."""

    def __init__(self, dealt: Dealt, run: int) -> None:
        super().__init__(dealt)
        self.run = run


Deal = Callable[[Prgs, Any], Iterator[Dealt]]  # of one demand, in the order in which the parties ask for it


class Dealer:
    """One job's dealer. Channels: one to each party; `send` waits while a party is a window behind, which drives the rounds."""

    def __init__(
        self,
        channels: dict[Party, Channel],
        fresh_seed: Callable[[], bytes] = Prg.fresh_seed,
        *,
        nonces: Mapping[Party, bytes],
        keys: Mapping[Party, bytes],
        clock: Clock | None = None,
        runs: Runs | None = None,
    ) -> None:
        """nonces, keys: what each party brings to its seed, and to the tags by which it knows the other's shares.

        clock: seconds of processor time of the thread that asks, by which long items are told from short; None: by their words.
        runs: waits for the channels of a run of rows; None: there are none.
        """
        self._channels, self._clock, self._runs = channels, clock, runs
        self._seeds = {party: fresh_seed() for party in Party}
        made = {party: own_seed(seed, nonces[party]) for party, seed in self._seeds.items()}
        self._committed = commitments(made)
        self._prg = {party: Prg(seed, keys[party]) for party, seed in made.items()}

    @property
    def expanded(self) -> Prgs:
        """What each party expands its seed by."""
        return self._prg

    async def serve(self, demands: Mapping[Party, AsyncGenerator[Demand]], dealings: Mapping[type[Demand], Deal]) -> None:
        """Gives both parties their seeds, then deals as `follow` says."""
        await self.seeds()
        await self.follow(demands, dealings, {})

    async def follow(
        self,
        demands: Mapping[Party, AsyncGenerator[Demand]],
        dealings: Mapping[type[Demand], Deal],
        elsewhere: Mapping[type[Demand], Callable[[Any], Awaitable[None]]],
        line: str = "",
    ) -> None:
        """Deals what both parties ask for until both are done, and closes that. dealings: how, by the type of what is asked.

        elsewhere: what others deal with this dealer's channels; it is waited for. Raises PeerProtocolError when the parties
        ask for different things, or for one kind twice, whose masks would hide two values each; PeerLost when one asks for
        nothing more and the other does.
        line: of several lines the name of this one; then others are told no size of it.
        """
        whom = f"the grid and {line}" if line else "the parties"
        served: set[tuple[type[Demand], int]] = set()
        async with AsyncExitStack() as closing:
            for asked in demands.values():
                await closing.enter_async_context(aclosing(asked))
            while True:
                grid, bank = await side_by_side(_next(demands[party]) for party in Party)
                if (grid is None) != (bank is None):  # of a process that was killed gRPC says that it ended its stream in order
                    gone, other = ("the grid", line or "the bank")[:: 1 if grid is None else -1]
                    raise PeerLost(f"{gone} ended its dealer stream, while {other} asks for more")
                if grid != bank:
                    text = f"{whom} ask the dealer for different things"
                    raise PeerProtocolError(text, expected=grid, got=bank, public=text if line else None)
                if grid is None:
                    return
                if once(grid) in served:
                    text = f"{whom} ask the dealer for the same thing twice"
                    raise PeerProtocolError(text, got=grid, public=text if line else None)
                served.add(once(grid))
                if type(grid) in elsewhere:
                    await elsewhere[type(grid)](grid)
                    continue
                if (deal := dealings.get(type(grid))) is None:
                    raise PeerProtocolError("the parties ask the dealer for what this job does not consume", got=grid)
                await self.deal(deal(self._prg, grid), item_words(grid))

    async def seeds(self) -> None:
        """Gives each party its seed, and fingerprints of what both make of theirs: the first thing on both channels."""
        for party, seed in self._seeds.items():
            await self._channels[party].send(SEED, np.frombuffer(seed + self._committed, np.uint8))

    async def deal(self, dealing: Iterator[Dealt], words: int = OFFLOAD_WORDS) -> None:
        """Sends what `dealing` computes, one item ahead of what is sent. words: about how many are in an item."""
        async with dealt_ahead(dealing, words, self._clock) as coming:  # the next is computed while this is sent
            while (ready := await coming()) is not None:
                channels: Mapping[Party, Channel] = self._channels
                if isinstance(ready, OfRun):
                    if self._runs is None:
                        raise PeerProtocolError("the parties ask for runs of rows, for which there are no streams here")
                    channels = await self._runs(ready.run)
                for party, label, values in ready:
                    await channels[party].send(label, values)


async def _next(demands: AsyncGenerator[Demand]) -> Demand | None:
    return await anext(demands, None)


def item_words(demand: Demand) -> int:
    """About how many words one item of what is dealt for `demand` has, or less: its rows times all its other numbers."""
    rows, *others = sorted((int(getattr(demand, name)) for name in demand.__dataclass_fields__), reverse=True)
    return _CELL_WORDS * rows * max(1, sum(others))


def dealt_ahead(
    dealing: Iterator[T], words: int, clock: Clock | None
) -> AbstractAsyncContextManager[Callable[[], Awaitable[T | None]]]:
    """What `dealing` computes, as `one_ahead` gives it, and None once that is all; in a thread where items have many words.

    The first item, with all that comes before it, is computed there in any case, and so is all that follows a long one.
    clock: as the dealer has it.
    """
    longest = 0.0

    def item(number: int) -> T | None:
        nonlocal longest
        begun = clock() if clock is not None else 0.0
        found = next(dealing, None)
        if number and clock is not None:
            longest = max(longest, clock() - begun)
        return found

    def begin(number: int) -> asyncio.Future[T | None]:
        beside = number == 0 or longest > _LONG
        work = compute(partial(item, number), max(words, OFFLOAD_WORDS) if beside else words)
        return asyncio.ensure_future(work)

    return one_ahead(map(begin, itertools.count()))


def deal_periods(prg: Prgs, demand: PeriodDemand) -> Iterator[Dealt]:
    """A share for the bank of the bitwise product of both masks; the grid expands its own."""
    masks = [prg[party].words(Purpose.PERIODS, 0, demand.words) for party in Party]
    mine = prg[Party.GRID].words(Purpose.PERIOD_PRODUCT, 0, demand.words)
    yield [(Party.BANK, Round(Kind.DEALT_PERIODS, 0), (masks[0] & masks[1]) ^ mine)]


def both(prg: Prgs, purpose: Purpose, number: int, count: int) -> Words:
    """The sum of what both parties expand, (count,)."""
    return prg[Party.GRID].words(purpose, number, count) + prg[Party.BANK].words(purpose, number, count)


def both_halves(prg: Prgs, purpose: Purpose, number: int, count: int) -> npt.NDArray[np.uint32]:
    """The same modulo 2^32."""
    return prg[Party.GRID].half_words(purpose, number, count) + prg[Party.BANK].half_words(purpose, number, count)


def mask_parts(prg: Prgs, number: int, offset: Words, shift: int | Words) -> tuple[Words, Words]:
    """r's shifted body and top bit, (m,) each, r being both masks of a truncation less what the parties' sums lack."""
    r = both(prg, Purpose.TRUNCATION, number, len(offset)) - offset
    body: Words = (r & _LOW63) >> np.asarray(shift, np.uint64)
    return body, r >> np.uint64(63)


def deal_truncation(prg: Prgs, number: int, offset: Words, shift: int | Words) -> Dealt:
    """Shares of those two."""
    return deal_parts(prg, number, *mask_parts(prg, number, offset, shift))


class Parts:
    """How a mask's parts are shared by two parties: each expands its share of one part and is dealt that of the other."""

    def deal(self, prg: Prgs, number: int, offset: Words, shift: int | Words) -> Dealt:
        return self.share(prg, number, *mask_parts(prg, number, offset, shift))

    def share(self, prg: Prgs, number: int, body: Words, top: Words, *, carries: bool = False) -> Dealt:
        """carries: whether a top is one less where shares of the body add up to more than a word."""
        return deal_parts(prg, number, body, top, carries=carries)

    def doubles(self, prg: Prgs, number: int, values: Doubles) -> Dealt:
        """Shares of values modulo 2^128, (m, 2): low words as bodies are shared, and high ones as tops."""
        return self.share(prg, number, values[:, 0], values[:, 1], carries=True)

    def halves(self, prg: Prgs, kind: Kind, purpose: Purpose, number: int, arrays: Sequence[Words]) -> Dealt:
        """Shares of arrays of one size, (n,), likewise."""
        return deal_halves(prg, kind, purpose, number, arrays)

    def held(self, prg: Prgs, dealt: Dealt) -> Mapping[Party, tuple[Words, Words]]:
        """Of what was dealt, both parties' shares of the body and of the top, (m,) each."""
        sent = {party: words for party, _, words in dealt}
        number, count = dealt[0][1].number, len(sent[Party.GRID])
        body = prg[Party.GRID].words(Purpose.TRUNCATION_BODY, number, count)
        top = prg[Party.BANK].words(Purpose.TRUNCATION_TOP, number, count)
        return {Party.GRID: (body, sent[Party.GRID]), Party.BANK: (sent[Party.BANK], top)}


def deal_parts(prg: Prgs, number: int, body: Words, top: Words, *, carries: bool = False) -> Dealt:
    """Shares of a mask's parts, (m,) each, where the dealer needs them for more. carries: as `Parts.share` has it."""
    count = len(body)
    expanded = prg[Party.GRID].words(Purpose.TRUNCATION_BODY, number, count)
    top, body = top - (expanded > body) if carries else top, body - expanded
    top = top - prg[Party.BANK].words(Purpose.TRUNCATION_TOP, number, count)
    label = Round(Kind.DEALT_TRUNCATION, number)
    return [(Party.BANK, label, body), (Party.GRID, label, top)]


def deal_halves(prg: Prgs, kind: Kind, purpose: Purpose, number: int, arrays: Sequence[Words]) -> Dealt:
    """Shares of arrays of one size, (n,): those of even place go to the grid less what the bank expands, odd ones the reverse.

    `Correlations.halves` takes them.
    """
    out: Dealt = []
    for party in Party:
        mine = arrays[party.index :: 2]
        expanded = prg[party.other].words(purpose, number, sum(len(values) for values in mine)).reshape(len(mine), -1)
        out.append((party, Round(kind, number), np.subtract(np.stack(mine), expanded, out=expanded)))
    return out


def angles(prg: Prgs, number: int, offset: Turns) -> Turns:
    """What completes the angles that the parties open; offset: what their sums of u lack."""
    return offset + both_halves(prg, Purpose.ANGLE, number, len(offset))


def points(prg: Prgs, number: int, offset: Points) -> Turns:
    """The same of angles of 16 bits."""
    grid, bank = (prg[p].short_words(Purpose.ANGLE, number, len(offset)) for p in Party)
    return whole(offset + grid + bank)


def deal_link(prg: Prgs, link: Link, number: int, a: Turns, scale: int, width: int = WIDE) -> Dealt:
    """Shares of the link's tables at the angles that complete what the parties open. width: bytes of a dealt word."""
    rows = len(a)
    dealt = {p: dealt_tables(link, p) for p in Party}
    seeded = {p: prg[p].words(Purpose.LINK, number, len(dealt[p.other]) * rows).reshape(-1, rows) for p in Party}
    out = {p: seeded[p.other] for p in Party}
    sent, short = out, dict[Party, list[Short]]()
    if width < WIDE:
        sent = {p: dealt_place(values.shape, width) for p, values in out.items()}
        short = {p: Short(sent[p], values.size, width).rows(rows) for p, values in out.items()}
    place = {j: (p, i) for p in Party for i, j in enumerate(dealt[p])}
    for low in range(0, rows, CACHE_ROWS):
        part = slice(low, low + CACHE_ROWS)
        for j, values in enumerate(link.table_values(a[part])):
            party, i = place[j]
            made = np.subtract(encode(values, scale), out[party][i, part], out=out[party][i, part])
            if short:
                short[party][i][part] = made
    return [(p, Round(Kind.DEALT_LINK, number), sent[p]) for p in Party]


def deal_tags(prg: Prgs, number: int, parts: Mapping[Party, Sequence[Words]]) -> Dealt:
    """To each party a tag of each word of its own `parts`, some of (n,), by the other's first n factors and its pads."""
    out = []
    for holder, words in parts.items():
        verifier, count = prg[holder.other], len(words[0])
        pads = wide(verifier.words(Purpose.TAG_PAD, number, LIMBS * count * len(words)))
        tags = made(verifier.factors(count) * len(words), _lifted(prg[holder], number, np.concatenate(words)), pads)
        out.append((holder, Round(Kind.DEALT_TAGS, number), _marked(tags, verifier)))
    return out


def deal_tag(prg: Prgs, number: int, masks: Mapping[Party, Words]) -> Dealt:
    """To each party one tag of its own mask (n,): the sum of its words', with one pad."""
    out = []
    for holder, words in masks.items():
        verifier = prg[holder.other]
        (pad,) = wide(verifier.words(Purpose.TAG_PAD, number, LIMBS))
        tag = total(verifier.factors(len(words)), _lifted(prg[holder], number, words), pad)
        out.append((holder, Round(Kind.DEALT_TAGS, number), _marked((tag,), verifier)))
    return out


def _marked(tags: Sequence[int], verifier: Prg) -> Words:
    """Tags as they are dealt: by whose key they are comes last."""
    return np.concatenate([narrow(tags), verifier.mark])


def _lifted(prg: Prg, number: int, words: Words) -> tuple[int, ...]:
    return lifted(words, prg.words(Purpose.TAG_LIFT, number, len(words)))
