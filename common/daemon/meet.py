"""How the two parties' streams of one job find each other: the bank dials, the grid waits. The rest is alike for both."""

from __future__ import annotations

import asyncio
from typing import Protocol

from common.errors import IdentityError, PeerLost, PeerProtocolError
from common.party import Identity
from common.wire.client import Connection, Stream
from common.wire.methods import EXCHANGE
from common.wire.peer import Counter, FrameChannel, check_plan, greeting, read_greeting
from common.wire.peer_pb2 import Hello
from common.wire.server import Call

PATIENCE = 30.0  # seconds for the other party to appear: it was told to start at the same moment


class Meeting(Protocol):
    """Gives each job its channel to the other party."""

    def expect(self, job: str) -> None:
        """The job has been accepted: the other party may come."""

    def forget(self, job: str) -> None:
        """The job is over: its stream ends."""

    async def meet(self, job: str, digest: bytes, counter: Counter) -> FrameChannel:
        """The channel, after both have greeted and found that they hold the same plan."""


class Dial:
    """The bank's side."""

    def __init__(self, grid: Connection) -> None:
        self._grid = grid
        self._streams: dict[str, Stream] = {}

    def expect(self, job: str) -> None:
        pass

    def forget(self, job: str) -> None:
        if (stream := self._streams.pop(job, None)) is not None:
            task = asyncio.ensure_future(stream.close())
            task.add_done_callback(lambda done: done.exception())

    async def meet(self, job: str, digest: bytes, counter: Counter) -> FrameChannel:
        stream = self._streams[job] = self._grid.stream(EXCHANGE)
        await stream.write(greeting(job, digest))
        hello = await read_greeting(stream, "the grid", PATIENCE)
        check_plan(hello, digest, "the grid")
        channel = FrameChannel(stream, "the grid", counter)
        channel.start()
        return channel


class Door:
    """The grid's side: the handler of `Peer.Exchange`, and where jobs wait for it."""

    def __init__(self, bank: Identity) -> None:
        self._bank = bank
        self._arrived: dict[str, asyncio.Future[tuple[Call, Hello]]] = {}
        self._over: dict[str, asyncio.Event] = {}

    def expect(self, job: str) -> None:
        self._arrived[job] = asyncio.get_running_loop().create_future()
        self._over[job] = asyncio.Event()

    def forget(self, job: str) -> None:
        if (arrived := self._arrived.pop(job, None)) is not None:
            arrived.cancel()
        if (over := self._over.pop(job, None)) is not None:
            over.set()

    async def exchange(self, _: None, call: Call) -> None:
        """Serves one stream for as long as its job runs. Raises IdentityError unless the bank calls."""
        hello = await read_greeting(call, "the bank", PATIENCE)  # first: a refusal before it could cross it, and be lost
        if call.identity != self._bank:
            raise IdentityError("only the bank may exchange", expected=self._bank, got=call.identity)
        arrived, over = self._arrived.get(hello.job), self._over.get(hello.job)
        if arrived is None or over is None or arrived.done():
            raise PeerProtocolError(f"no job {hello.job} waits for the bank here", remedy="Submit it through the coordinator.")
        arrived.set_result((call, hello))
        await over.wait()

    async def meet(self, job: str, digest: bytes, counter: Counter) -> FrameChannel:
        try:
            call, theirs = await asyncio.wait_for(asyncio.shield(self._arrived[job]), PATIENCE)
        except TimeoutError:
            raise PeerLost(
                f"the bank did not connect within {PATIENCE:.0f} s",
                remedy="Check at the bank that it can reach this address.",
            ) from None
        await call.write(greeting(job, digest))
        check_plan(theirs, digest, "the bank")
        channel = FrameChannel(call, "the bank", counter)
        channel.start()
        return channel
