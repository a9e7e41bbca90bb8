"""The bank's side of a meeting: it dials the grid, and serves nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bank_party.settings import BankSettings
from common.daemon.account import Account
from common.daemon.meet import PATIENCE, Approach, Take
from common.party import Identity
from common.wire.client import Connection, Stream
from common.wire.methods import EXCHANGE
from common.wire.peer import Counter, FrameChannel, Stands, check_plan, greeting, read_greeting
from common.wire.tls import Credentials


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
        stream = self._streams[job] = self._grid.stream(EXCHANGE)
        await stream.write(greeting(job, digest, account.stands(), self._plans.get(job, ""), attempt))
        hello = await read_greeting(stream, "the grid", PATIENCE)
        check_plan(hello, digest, "the grid")
        account.take(Stands.of(hello))
        channel = FrameChannel(stream, "the grid", counter)
        channel.start()
        return channel
