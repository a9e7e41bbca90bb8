"""Streams of a training's runs of rows between the two parties: what whoever serves one needs, and who may bring it."""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress
from dataclasses import dataclass, field

from common.errors import PeerLost, PeerProtocolError
from common.party import Identity
from common.wire.client import Connection, Stream, close_all
from common.wire.lanes import FEWER, ONE_PROCESS, PATIENCE, Between, Wish, greet, lane_key
from common.wire.methods import EXCHANGE
from common.wire.peer import Counter, FrameChannel, read_greeting, run_greeting
from common.wire.peer_pb2 import Hello
from common.wire.server import Call

EARLY = 30.0  # seconds that a stream waits whose run is not waited for yet
GATHER = 60.0  # seconds for a run's stream: the other side may still be putting its rows where a worker sees them


@dataclass(frozen=True)
class Roads:
    """What both parties have agreed on for the runs of rows of one attempt at a job: how many at most, and their keys."""

    job: str
    attempt: int
    digest: bytes
    lanes: int
    ports: tuple[int, ...]  # at the grid, on which its workers wait
    who: str  # the bank, where the grid waits for it
    bank: Wish = field(repr=False)
    grid: Wish = field(repr=False)

    @classmethod
    def agreed(cls, job: str, attempt: int, digest: bytes, bank: Wish, grid: Wish, who: str = "") -> Roads:
        """No runs unless one side at least has workers for them."""
        lanes = bank.agreed(grid) if bank.rows or grid.rows else 0
        return cls(job, attempt, digest, lanes if lanes > 1 else 0, grid.ports, who, bank, grid)

    def run(self, run: int, lanes: int) -> Road:
        """The way of one run, from 1, of so many."""
        key = lane_key(self.bank, self.grid, self.job, self.attempt, run, Between.ROWS)
        port = self.ports[(run - 1) % len(self.ports)] if self.ports else 0
        return Road(self.job, self.attempt, self.digest.hex(), run, lanes, key.hex(), port, self.who)


@dataclass(frozen=True)
class Road:
    """All that whoever serves one run's stream needs, in texts and numbers. key, digest: hexadecimal. port: 0: the grid's."""

    job: str
    attempt: int
    digest: str
    run: int
    lanes: int
    key: str = field(repr=False)
    port: int
    who: str

    def whom(self, other: str) -> str:
        return f"{other}, run {self.run} of {self.lanes}"


async def dial(connection: Connection, road: Road, counter: Counter) -> tuple[FrameChannel, Stream]:
    """The bank's end: the channel, once the grid has taken it. connection: of its own."""
    stream, whom = connection.stream(EXCHANGE), road.whom("the grid")
    try:
        hello = run_greeting(road.job, bytes.fromhex(road.digest), road.attempt, road.lanes, road.run, bytes.fromhex(road.key))
        await greet(stream, hello, whom, GATHER, FEWER)
        theirs = await read_greeting(stream, whom, GATHER)
        if (theirs.row_lane, theirs.lanes) != (road.run, road.lanes):
            raise PeerProtocolError(f"{whom} answered as another", expected=road.run, got=theirs.row_lane)
    except BaseException:
        await close_all([stream], [connection])
        raise
    channel = FrameChannel(stream, whom, counter)
    channel.start()
    return channel, stream


class Gate:
    """The grid's end: streams of runs that are waited for, each taken once, from who is expected, by its key."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int, int], tuple[Road, Identity, asyncio.Future[Call]]] = {}
        self._over: dict[tuple[str, int, int], asyncio.Event] = {}
        self._more = asyncio.Event()  # set, and another put in its place, whenever one more is waited for

    async def take(self, hello: Hello, call: Call) -> None:
        """Serves one that has come, for as long as its run lasts. One that comes early waits, as the bank may be ahead."""
        place = hello.job, hello.attempt, hello.row_lane
        found = await self._expected(place)
        known = found is not None and call.identity == found[1] and hello.lanes == found[0].lanes
        if found is None or not known or found[2].done() or not hmac.compare_digest(hello.key, bytes.fromhex(found[0].key)):
            text = f"run {hello.row_lane} of job {hello.job} is none that is waited for here"
            raise PeerProtocolError(text, remedy=ONE_PROCESS)
        found[2].set_result(call)
        await self._over[place].wait()

    async def _expected(self, place: tuple[str, int, int]) -> tuple[Road, Identity, asyncio.Future[Call]] | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(EARLY):
                while place not in self._waiting:
                    await self._more.wait()
        return self._waiting.get(place)

    async def meet(self, road: Road, counter: Counter) -> FrameChannel:
        """The channel of a run, once the bank has come. Raises PeerLost where it does not."""
        place, whom = (road.job, road.attempt, road.run), road.whom("the bank")
        arrived: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._waiting[place], self._over[place] = (road, Identity.parse(road.who), arrived), asyncio.Event()
        self._more.set()
        self._more = asyncio.Event()
        try:
            async with asyncio.timeout(GATHER):
                call = await arrived
        except TimeoutError:
            raise PeerLost(f"{whom} did not come within {GATHER:.0f} s", remedy=FEWER) from None
        hello = run_greeting(road.job, bytes.fromhex(road.digest), road.attempt, road.lanes, road.run)
        await greet(call, hello, whom, PATIENCE, FEWER)
        channel = FrameChannel(call, whom, counter)
        channel.start()
        return channel

    def leave(self, road: Road) -> None:
        """The run is over: its stream ends."""
        place = road.job, road.attempt, road.run
        if (found := self._waiting.pop(place, None)) is not None:
            found[2].cancel()
        if (over := self._over.pop(place, None)) is not None:
            over.set()
