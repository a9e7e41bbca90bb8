"""How a job's ids are matched: a line to the coordinator for it where the plan says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pyarrow as pa

from common.daemon.meet import PATIENCE
from common.errors import ConfigError, LocalProtocolError
from common.match.agree import Match, MatchLimits, Rows
from common.match.aided import match_aided
from common.match.ecdh import match_ids
from common.mpc.session import Channel, Session
from common.plan.request import Plan
from common.process.memory import free_memory
from common.wire.client import Connection
from common.wire.lanes import greet
from common.wire.methods import MATCH
from common.wire.peer import Counter, FrameChannel, greeting

AIDED_BYTES, ECDH_BYTES = 64, 450  # of memory for each own id, beside the id; the latter with as many at the other side


def choose_match(
    plan: Plan, job: str, coordinator: Connection | None, counter: Counter, attempt: int = 0, line: int = 0
) -> Match:
    """The plan's way of matching; `counter` counts what goes to and from the coordinator. line: from 1, of several banks.

    It raises ConfigError, before anything is sent, for more ids than there is memory for.
    """
    if plan.matching == "ecdh":
        return partial(_with_room, match_ids, ECDH_BYTES)
    if coordinator is None:
        raise LocalProtocolError("without a coordinator the parties match ids between them")
    aided = partial(match_aided, neutral=partial(_line, plan, job, attempt, coordinator, counter, line))
    return partial(_with_room, aided, AIDED_BYTES)


async def _with_room(
    match: Match, each: int, session: Session, ids: pa.StringArray, *, domain: bytes, limits: MatchLimits
) -> Rows:
    need, free = each * len(ids), free_memory()
    if need > free:
        raise ConfigError(
            f"matching {len(ids)} ids takes about {need >> 20} MiB of memory, and {free >> 20} MiB are free",
            remedy="Give this machine or container more memory, end what else runs on it, or bring fewer ids.",
            public="matching takes more memory than is free at this side",
        )
    return await match(session, ids, domain=domain, limits=limits)


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
