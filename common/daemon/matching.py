"""How a job's ids are matched: a line to the coordinator for it where the plan says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from common.daemon.meet import PATIENCE
from common.errors import LocalProtocolError
from common.match.agree import Match
from common.match.aided import match_aided
from common.match.ecdh import match_ids
from common.mpc.session import Channel
from common.plan.request import Plan
from common.wire.client import Connection
from common.wire.lanes import greet
from common.wire.methods import MATCH
from common.wire.peer import Counter, FrameChannel, greeting


def choose_match(
    plan: Plan, job: str, coordinator: Connection | None, counter: Counter, attempt: int = 0, line: int = 0
) -> Match:
    """The plan's way of matching; `counter` counts what goes to and from the coordinator. line: from 1, of several banks."""
    if plan.matching == "ecdh":
        return match_ids
    if coordinator is None:
        raise LocalProtocolError("without a coordinator the parties match ids between them")
    return partial(match_aided, neutral=partial(_line, plan, job, attempt, coordinator, counter, line))


@asynccontextmanager
async def _line(
    plan: Plan, job: str, attempt: int, coordinator: Connection, counter: Counter, line: int
) -> AsyncIterator[Channel]:
    stream = coordinator.stream(MATCH)
    channel = FrameChannel(stream, "the coordinator", counter)
    try:
        hello = greeting(job, plan.digest(), attempt=attempt, line=line)
        counter.sent += hello.ByteSize()
        await greet(stream, hello, "the coordinator", PATIENCE)
        channel.start()
        yield channel
    finally:
        await channel.stop()
        await stream.close()
