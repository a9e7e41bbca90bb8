"""How a job's ids are matched: a line to the coordinator for it where the plan says so."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
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
from common.wire.lanes import Purpose, Wish, joining_key
from common.wire.lines import WHOM, line_of
from common.wire.methods import MATCH
from common.wire.peer import Counter, FrameChannel, greeting, lane_greeting
from common.wire.peer_pb2 import Frame

_log = logging.getLogger(__name__)

AIDED_BYTES, ECDH_BYTES = 40, 450  # of memory for each own id, beside the id; the latter with as many at the other side


def choose_match(
    plan: Plan,
    job: str,
    coordinator: Connection | None,
    counter: Counter,
    attempt: int = 0,
    line: int = 0,
    lanes: int = 1,
    begun: Callable[[FrameChannel], None] = lambda line: None,
) -> Match:
    """The plan's way of matching; `counter` counts what goes to and from the coordinator. line: from 1, of several banks.
    lanes: of the streams by which tags go there, as the coordinator allows. begun: told that line, once it is there.

    It raises ConfigError, before anything is sent, for more ids than there is memory for.
    """
    if plan.matching == "ecdh":
        return partial(_with_room, match_ids, ECDH_BYTES)
    if coordinator is None:
        raise LocalProtocolError("without a coordinator the parties match ids between them")
    aided = partial(match_aided, neutral=partial(_line, plan, job, attempt, coordinator, counter, line, lanes, begun))
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
    plan: Plan,
    job: str,
    attempt: int,
    coordinator: Connection,
    counter: Counter,
    line: int,
    lanes: int,
    begun: Callable[[FrameChannel], None],
) -> AsyncIterator[Channel]:
    wish = Wish.fresh(lanes)

    def says(lane: int) -> Frame:
        if not lane:
            return greeting(job, plan.digest(), attempt=attempt, line=line, wish=wish)
        return further_hello(job, attempt, line, wish, lane)

    if lanes > 1:
        _log.info("job %s: tags to the coordinator over %d lanes", job, wish.lanes)
    async with line_of(coordinator, MATCH, counter, says, wish.lanes, PATIENCE) as stream:
        channel = FrameChannel(stream, WHOM, counter)
        try:
            channel.start()
            begun(channel)
            yield channel
        finally:
            await channel.stop()


def further_hello(job: str, attempt: int, line: int, wish: Wish, lane: int) -> Frame:
    """What a further stream of such a line says first."""
    key = joining_key(wish.nonce, job, attempt, line, lane, Purpose.MATCH)
    found = lane_greeting(job, b"", attempt, wish.lanes, lane, key)
    found.hello.line = line
    return found
