"""A party's stream to its coordinator: kept through whatever its jobs do."""

from __future__ import annotations

import asyncio
from typing import Any

from common.daemon.daemon import PartyDaemon
from common.party import Party
from common.wire import party_pb2 as wire
from tests.patience import patience


class Stream:
    """Like grpc's: a write that is cancelled takes the whole stream with it."""

    def __init__(self) -> None:
        self.going, self.written, self.broken = asyncio.Event(), list[str](), False

    async def write(self, message: wire.FromParty) -> None:
        try:
            await self.going.wait()
        except asyncio.CancelledError:
            self.broken = True
            raise
        self.written.append(message.progress.job)


async def test_a_job_that_ends_while_it_reports_does_not_break_the_stream() -> None:
    nobody: Any = None
    daemon = PartyDaemon(Party.GRID, nobody, [nobody], None)
    stream: Any = Stream()
    daemon._stream = stream
    first = asyncio.create_task(daemon._send(wire.FromParty(progress=wire.Progress(job="first"))))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(daemon._send(wire.FromParty(progress=wire.Progress(job="second"))))
    await asyncio.sleep(0.01)
    stream.going.set()
    await asyncio.wait_for(second, patience(5))
    assert not stream.broken and stream.written == ["first", "second"]  # whole and in order
