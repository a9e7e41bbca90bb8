"""The further streams over which parties are dealt to, and bring their tags, of one attempt at a job."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from common.errors import PeerProtocolError
from common.wire.lanes import ONE_PROCESS, PATIENCE, Braid, Duplex, Further, Purpose, greet, joining_key
from common.wire.party_pb2 import Join
from common.wire.peer import lane_greeting
from common.wire.peer_pb2 import Hello
from common.wire.server import Call


@dataclass
class _Line:
    """One to a party: which streams are waited for, all of them once they are there, and whether it has ended."""

    further: Further[Call]
    braid: Braid | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Lanes:
    """Lines of several streams, by whom each is to."""

    def __init__(self, most: int, purpose: Purpose) -> None:
        """most: streams of a line."""
        self._most, self._purpose = most, purpose
        self._lines: dict[Hashable, _Line] = {}

    def __contains__(self, seat: Hashable) -> bool:
        return seat in self._lines

    async def first(self, seat: Hashable, call: Call, said: Join | Hello, whom: str) -> Duplex:
        """The line that begins with this call, once its other streams are there. Raises PeerProtocolError for too many."""
        if said.lanes <= 1:
            return call
        if said.lanes > self._most:
            raise PeerProtocolError(f"{whom} joins with more lanes than it was told", expected=self._most, got=said.lanes)
        place = said.nonce, said.job, said.attempt, said.line
        keys = [joining_key(*place, lane, self._purpose) for lane in range(1, said.lanes)]
        line = self._lines[seat] = _Line(Further(call.identity, keys))
        await greet(call, lane_greeting(said.job, b"", said.attempt, said.lanes, 0), whom, PATIENCE)
        line.braid = Braid([call, *await line.further.all(whom)])
        return line.braid

    async def serve(self, seat: Hashable, call: Call, said: Join | Hello) -> None:
        """A further one, for as long as its line lasts. Raises PeerProtocolError for one that is not waited for."""
        if (line := self._lines.get(seat)) is None:
            raise PeerProtocolError(f"no line of job {said.job} waits for lanes here", remedy=ONE_PROCESS)
        key = said.key if isinstance(said, Hello) else said.lane_key
        line.further.take(call.identity, said.job, said.lane, key, call)
        await line.over.wait()

    async def end(self, seat: Hashable) -> None:
        """The line to this one has ended."""
        if (line := self._lines.get(seat)) is not None:
            line.over.set()
            line.further.stop()
            if line.braid is not None:
                await line.braid.stop()
