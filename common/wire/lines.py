"""A party's lines to the coordinator, of as many streams as both wish for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from common.errors import PeerProtocolError
from common.wire.client import Connection, close_all
from common.wire.lanes import PATIENCE, Braid, Duplex, greet
from common.wire.peer import Counter, read_greeting

WHOM = "the coordinator"


@asynccontextmanager
async def line_of(
    coordinator: Connection,
    method: MethodDescriptor,
    counter: Counter,
    says: Callable[[int], Message],
    lanes: int,
    patience: float,
) -> AsyncIterator[Duplex]:
    """A line of this method, begun, and closed at the end. says: what each stream says first; lanes: how many there are.
    patience: seconds in which the coordinator takes that.

    Raises PeerProtocolError where the coordinator answers with another number than it allowed.
    """
    async with AsyncExitStack() as open_:
        streams, connections = [coordinator.stream(method)], list[Connection]()
        open_.push_async_callback(close_all, streams, connections)

        async def say(lane: int) -> None:
            message = says(lane)
            counter.sent += message.ByteSize()
            await greet(streams[lane], message, WHOM, patience)

        await say(0)
        if lanes == 1:
            yield streams[0]
            return
        answer = await read_greeting(streams[0], WHOM, PATIENCE)
        counter.received += answer.ByteSize()
        if answer.lanes != lanes:
            raise PeerProtocolError(f"{WHOM} serves another number of lanes", expected=lanes, got=answer.lanes)
        connections += [coordinator.apart() for _ in range(1, lanes)]
        streams += [connection.stream(method) for connection in connections]
        await asyncio.gather(*map(say, range(1, lanes)))
        yield Braid(streams)
