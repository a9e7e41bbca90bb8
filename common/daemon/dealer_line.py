"""A party's line to the dealer: it joins a job, over as many streams as both wish for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from common.daemon.meet import PATIENCE as BEGINNING
from common.errors import PeerProtocolError
from common.learn.dealings import MESSAGES
from common.wire import party_pb2 as wire
from common.wire.client import Connection, close_all
from common.wire.lanes import PATIENCE, Braid, Duplex, greet, joining_key
from common.wire.methods import DEAL
from common.wire.peer import Counter, DealerChannel, read_greeting

_WHOM = "the coordinator"


@asynccontextmanager
async def dealer_line(
    coordinator: Connection, counter: Counter, join: wire.Join, lanes: int = 1
) -> AsyncIterator[DealerChannel]:
    """The line, begun, and closed at the end. lanes: of the streams that it is made up of, as the coordinator allows."""
    async with AsyncExitStack() as open_:
        first = coordinator.stream(DEAL)
        streams, connections = [first], list[Connection]()
        open_.push_async_callback(close_all, streams, connections)
        if lanes > 1:
            join.lanes = lanes
        await _say(first, counter, join)
        stream: Duplex = first
        if lanes > 1:
            answer = await read_greeting(first, _WHOM, PATIENCE)
            counter.received += answer.ByteSize()
            if answer.lanes != lanes:
                raise PeerProtocolError(f"{_WHOM} deals over another number of lanes", expected=lanes, got=answer.lanes)
            joins = [further_join(join, lane) for lane in range(1, lanes)]
            connections += [coordinator.apart() for _ in joins]
            streams += [connection.stream(DEAL) for connection in connections]
            await asyncio.gather(*(_say(one, counter, more) for one, more in zip(streams[1:], joins, strict=True)))
            stream = Braid(streams)
        channel = DealerChannel(stream, _WHOM, counter, MESSAGES)
        open_.push_async_callback(channel.stop)
        channel.start()
        yield channel


def further_join(join: wire.Join, lane: int) -> wire.Join:
    """What a further stream of such a line says first."""
    key = joining_key(join.nonce, join.job, join.attempt, join.line, lane)
    return wire.Join(job=join.job, attempt=join.attempt, line=join.line, lane=lane, lane_key=key)


async def _say(stream: Duplex, counter: Counter, join: wire.Join) -> None:
    message = wire.Demand(join=join)
    counter.sent += message.ByteSize()
    await greet(stream, message, _WHOM, BEGINNING)
