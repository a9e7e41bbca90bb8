"""A party's line to the dealer, by which it joins a job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.daemon.meet import PATIENCE
from common.learn.dealings import MESSAGES
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.dealing import DealerChannel
from common.wire.lanes import joining_key
from common.wire.lines import WHOM, line_of
from common.wire.methods import DEAL
from common.wire.peer import Counter


@asynccontextmanager
async def dealer_line(
    coordinator: Connection, counter: Counter, join: wire.Join, lanes: int = 1
) -> AsyncIterator[DealerChannel]:
    """The line, begun, and closed at the end. lanes: of the streams that it is made up of, as the coordinator allows."""
    if lanes > 1:
        join.lanes = lanes

    def says(lane: int) -> wire.Demand:
        return wire.Demand(join=further_join(join, lane) if lane else join)

    async with line_of(coordinator, DEAL, counter, says, lanes, PATIENCE) as stream:
        channel = DealerChannel(stream, WHOM, counter, MESSAGES)
        try:
            channel.start()
            yield channel
        finally:
            await channel.stop()


def further_join(join: wire.Join, lane: int) -> wire.Join:
    """What a further stream of such a line says first."""
    key = joining_key(join.nonce, join.job, join.attempt, join.line, lane)
    return wire.Join(job=join.job, attempt=join.attempt, line=join.line, lane=lane, lane_key=key)
