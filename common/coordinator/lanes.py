"""The further streams over which parties are dealt to, and bring their tags, of one attempt at a job."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from common.errors import PeerProtocolError
from common.mpc.session import Channel
from common.party import Party
from common.wire.dealing import DealtChannel
from common.wire.lanes import ONE_PROCESS, PATIENCE, Braid, Duplex, Further, Purpose, greet, joining_key
from common.wire.party_pb2 import Join
from common.wire.peer import lane_greeting
from common.wire.peer_pb2 import Hello
from common.wire.server import Call


@dataclass(frozen=True)
class Joined:
    """A party's stream to the dealer, and what it brings to its seed, to its tags and to the seed that all banks hold alike."""

    channel: DealtChannel
    nonce: bytes
    key: bytes
    common: bytes


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


class Rows:
    """The streams on which runs of rows are dealt to both parties of a job of one bank, each waited for and taken once."""

    def __init__(self, job: str, attempt: int, most: int) -> None:
        """most: runs."""
        self._job, self._attempt, self._most = job, attempt, most
        self._streams: dict[tuple[Party, int], asyncio.Future[DealtChannel]] = {}

    def _stream(self, party: Party, run: int) -> asyncio.Future[DealtChannel]:
        return self._streams.setdefault((party, run), asyncio.get_running_loop().create_future())

    def take(self, party: Party, said: Join, nonce: bytes, channel: DealtChannel) -> None:
        """One that has come, of who said `nonce` as it joined. Raises PeerProtocolError for one that is not waited for."""
        if not 0 < said.row_lane <= self._most:
            raise PeerProtocolError("a run of rows joins that is none", expected=f"1 to {self._most}", got=said.row_lane)
        key = joining_key(nonce, self._job, self._attempt, said.line, said.row_lane, Purpose.ROWS)
        found = self._stream(party, said.row_lane)
        if found.done() or not hmac.compare_digest(said.lane_key, key):
            raise PeerProtocolError(f"run {said.row_lane} of job {self._job} is none that is waited for here")
        found.set_result(channel)

    async def channels(self, run: int) -> Mapping[Party, Channel]:
        """Those of one run, from 1, once both parties have brought theirs: they still exchange their matrices before."""
        return {party: await self._stream(party, run) for party in Party}

    @property
    def outstanding(self) -> dict[Party, int]:
        """Arrays dealt to each and not yet consumed."""
        there = [(party, one.result()) for (party, _), one in self._streams.items() if one.done() and not one.cancelled()]
        return {party: sum(channel.outstanding for who, channel in there if who is party) for party in Party}
