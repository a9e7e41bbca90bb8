"""The bank's side of a meeting: it dials the grid, and serves nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bank_party.settings import BankSettings
from common.daemon.account import Account
from common.daemon.meet import PATIENCE, Approach, Take
from common.errors import PeerLost
from common.party import Identity
from common.wire.client import Connection, Stream
from common.wire.methods import EXCHANGE
from common.wire.peer import Counter, FrameChannel, Stands, check_plan, greeting, read_greeting
from common.wire.peer_pb2 import Frame
from common.wire.tls import Credentials

REACH = 8.0  # seconds in which a grid that is not reached is dialled again
_PAUSE = 0.3


def approach(settings: BankSettings, credentials: Credentials) -> Approach:
    grid = Connection(settings.peer.address, settings.peer.who, credentials)
    return Approach(Dial(grid), connections=(grid,))


class Dial:
    """A stream of its own for each job."""

    def __init__(self, grid: Connection) -> None:
        self._grid = grid
        self._streams: dict[str, Stream] = {}
        self._plans: dict[str, str] = {}

    def listen(self, take: Take) -> None:
        pass  # the grid asks for nothing

    def expect(self, job: str, plan: str = "", attempt: int = 0, banks: Sequence[Identity] = ()) -> None:
        self._plans[job] = plan

    def forget(self, job: str) -> None:
        self._plans.pop(job, None)
        if (stream := self._streams.pop(job, None)) is not None:
            task = asyncio.ensure_future(stream.close())
            task.add_done_callback(lambda done: done.exception())

    async def meet(
        self, job: str, digest: bytes, counter: Counter, account: Account, attempt: int = 0, bank: Identity | None = None
    ) -> FrameChannel:
        stream = await self._reached(job, greeting(job, digest, account.stands(), self._plans.get(job, ""), attempt))
        hello = await read_greeting(stream, "the grid", PATIENCE)
        check_plan(hello, digest, "the grid")
        account.take(Stands.of(hello))
        channel = FrameChannel(stream, "the grid", counter)
        channel.start()
        return channel

    async def _reached(self, job: str, hello: Frame) -> Stream:
        """The job's stream, once the grid has taken the greeting: a line that is cut for a moment fails no job as it begins."""
        end = asyncio.get_running_loop().time() + REACH
        while True:
            stream = self._streams[job] = self._grid.stream(EXCHANGE)
            try:
                await stream.write(hello)
            except PeerLost:
                if asyncio.get_running_loop().time() > end:
                    raise
                await stream.close()
                await asyncio.sleep(_PAUSE)
            else:
                return stream
