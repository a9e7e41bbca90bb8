"""Channels between a party and the dealer, over gRPC streams. They implement `mpc.session.Channel`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from typing import Any

from common.errors import LocalProtocolError, PeerLost, PeerProtocolError, WattScoreError
from common.mpc.correlations.asked import Demand
from common.mpc.session import Array, Round
from common.wire import party_pb2 as party
from common.wire.codec import encode
from common.wire.lanes import Duplex, ended, lanes_of
from common.wire.peer import Counter, FrameChannel, write_all

Demands = Mapping[str, type[Demand]]  # what may be asked of a dealer, by its field in the message `Demand`

_DEALT_AHEAD = 64  # arrays taken off the stream before they are asked for: as many as are dealt ahead by default
_OWED = 4  # arrays that a party has consumed and not acknowledged, at most: few beside how far dealing is ahead by default
_OWED_BYTES = 1 << 20  # bytes of these, from which they are acknowledged at once
MOST_DEMANDS = 1024  # demands of a party that have not been looked at


class DealerChannel(FrameChannel):
    """A party's end of the dealer's stream: acknowledges arrays, which lets the dealer go on.

    A message for each would be a third of a party's messages where rows are few. So it waits while more arrays are there, as
    the dealer is then ahead by at least one; whatever its window is, it never waits for what is held back here.
    """

    def __init__(self, stream: Duplex, whom: str, counter: Counter, kinds: Demands) -> None:
        super().__init__(stream, whom, counter, ahead=_DEALT_AHEAD)
        self._kinds, self._owed = kinds, party.Consumed()

    async def demand(self, demand: Demand) -> None:
        await self._say(demand_message(demand, self._kinds))

    async def receive(self, round: Round) -> Array:
        values, owed = await super().receive(round), self._owed
        owed.arrays, owed.bytes = owed.arrays + 1, owed.bytes + values.nbytes
        if self._arrived.empty() or owed.arrays >= _OWED or owed.bytes >= _OWED_BYTES:
            self._owed = party.Consumed()
            await self._say(party.Demand(consumed=owed))
        return values

    async def _say(self, message: party.Demand) -> None:
        self._counter.sent += message.ByteSize()
        await self._written(self._stream.write(message))


class DealtChannel:
    """The dealer's end: `send` waits while the party is `window_arrays` arrays or `window_bytes` bytes behind."""

    def __init__(
        self, stream: Duplex, whom: str, counter: Counter, kinds: Demands, window_arrays: int, window_bytes: int
    ) -> None:
        self._stream, self._whom, self._counter, self._kinds = stream, whom, counter, kinds
        self._window, self._limit, self._arrays, self._bytes = window_arrays, window_bytes, 0, 0
        self._moved = asyncio.Condition()
        self._demands: asyncio.Queue[Demand | WattScoreError | None] = asyncio.Queue()
        self._failure: WattScoreError | None = None

    async def send(self, round: Round, values: Array) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._failure or not self._arrays or self._open(values.nbytes))
            if self._failure:
                raise self._failure
            self._arrays, self._bytes = self._arrays + 1, self._bytes + values.nbytes
        await write_all(self._stream, self._counter, encode(round, values, lanes_of(self._stream)))

    def _open(self, size: int) -> bool:
        return self._arrays < self._window and self._bytes + size <= self._limit

    async def receive(self, round: Round) -> Array:
        raise PeerProtocolError("a dealer receives no arrays", round=round)

    @property
    def outstanding(self) -> int:
        """Arrays dealt and not yet consumed."""
        return self._arrays

    async def demands(self) -> AsyncGenerator[Demand]:
        """The demands of the party, in order, until it closes its stream."""
        while (demand := await self._demands.get()) is not None:
            if isinstance(demand, WattScoreError):
                raise demand
            yield demand

    async def read(self) -> None:
        """Takes demands and acknowledgements off the stream until the party closes it or breaks off."""
        last: WattScoreError | None = PeerLost(f"the dealer stream of {self._whom} was cut off")
        try:
            while (message := await self._stream.read()) is not None:
                self._counter.received += message.ByteSize()
                await self._take(message)
            last = None
        except WattScoreError as error:
            last = error
        finally:  # when the call is cancelled too: who waits for this party must hear of it
            self._demands.put_nowait(last)
            await self._fail(last or PeerLost(f"{self._whom} closed its dealer stream{ended(self._stream)}"))

    async def _take(self, message: party.Demand) -> None:
        what = message.WhichOneof("message")
        if what == "consumed":
            async with self._moved:
                self._arrays -= message.consumed.arrays
                self._bytes -= message.consumed.bytes
                if self._arrays < 0 or self._bytes < 0:
                    raise PeerProtocolError(f"{self._whom} acknowledged more than it was dealt")
                self._moved.notify_all()
        elif what is not None and (kind := self._kinds.get(what)) is not None:
            if self._demands.qsize() >= MOST_DEMANDS:
                raise PeerProtocolError(f"{self._whom} asks for more at once than is dealt in a job")
            asked: Any = getattr(message, what)
            await self._demands.put(kind(**{name: getattr(asked, name) for name in kind.__dataclass_fields__}))
        else:
            raise PeerProtocolError(f"{self._whom} sent a demand out of place")

    async def _fail(self, error: WattScoreError) -> None:
        async with self._moved:
            self._failure = error
            self._moved.notify_all()


def demand_message(demand: Demand, kinds: Demands) -> party.Demand:
    """The message that asks for it. Raises LocalProtocolError for a kind that is not among these."""
    for name, kind in kinds.items():
        if type(demand) is kind:
            message: Any = {name: asdict(demand)}
            return party.Demand(**message)
    raise LocalProtocolError("randomness of an unknown kind was ordered", got=demand)
