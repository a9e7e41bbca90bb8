"""The further streams over which parties are dealt to, of one attempt at a job."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from common.errors import PeerProtocolError
from common.wire.lanes import ONE_PROCESS, PATIENCE, Braid, Duplex, Further, greet, joining_key
from common.wire.party_pb2 import Join
from common.wire.peer import lane_greeting
from common.wire.server import Call


@dataclass
class _Line:
    """One to a party: which streams are waited for, all of them once they are there, and whether it has ended."""

    further: Further[Call]
    braid: Braid | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class DealtLanes:
    """Lines of several streams, by whom each is to."""

    def __init__(self, most: int) -> None:
        """most: streams of a line."""
        self._most = most
        self._lines: dict[Hashable, _Line] = {}

    def __contains__(self, seat: Hashable) -> bool:
        return seat in self._lines

    async def first(self, seat: Hashable, call: Call, join: Join, whom: str) -> Duplex:
        """The line that begins with this call, once its other streams are there. Raises PeerProtocolError for too many."""
        if join.lanes <= 1:
            return call
        if join.lanes > self._most:
            raise PeerProtocolError(f"{whom} joins with more lanes than it was told", expected=self._most, got=join.lanes)
        keys = [joining_key(join.nonce, join.job, join.attempt, join.line, lane) for lane in range(1, join.lanes)]
        line = self._lines[seat] = _Line(Further(call.identity, keys))
        await greet(call, lane_greeting(join.job, b"", join.attempt, join.lanes, 0), whom, PATIENCE)
        line.braid = Braid([call, *await line.further.all(whom)])
        return line.braid

    async def serve(self, seat: Hashable, call: Call, join: Join) -> None:
        """A further one, for as long as its line lasts. Raises PeerProtocolError for one that is not waited for."""
        if (line := self._lines.get(seat)) is None:
            raise PeerProtocolError(f"no line of job {join.job} waits for lanes here", remedy=ONE_PROCESS)
        line.further.take(call.identity, join.job, join.lane, join.lane_key, call)
        await line.over.wait()

    async def end(self, seat: Hashable) -> None:
        """The line to this one has ended."""
        if (line := self._lines.get(seat)) is not None:
            line.over.set()
            line.further.stop()
            if line.braid is not None:
                await line.braid.stop()
