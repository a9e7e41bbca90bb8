"""A job submitted once and followed to its end, though the coordinator is away for a while: the job goes on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from common.errors import PeerLost
from common.plan.job_states import State
from common.text import traces
from common.wire import coordinator_pb2 as wire
from common.wire.client import Connection
from common.wire.methods import SUBMIT, WATCH

AWAY = 600.0  # seconds in which a coordinator that was heard comes back
_PAUSE = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts to reach it
_TRIES = (0.3, 1.0, 2.0)  # seconds before a submission whose answer was lost is repeated


async def submit_once(connection: Connection, plan: str, submission: str = "") -> wire.Job:
    """The job of a canonical plan, one though the answer may be lost on the way: the request is repeated under its id.

    submission: its id, by which a later call gets the same job; default: a new one. Raises PeerLost after a few attempts.
    """
    with traces.spanning("submit") as span:
        job = await _submitted(connection, wire.SubmitRequest(plan=plan, submission=submission or secrets.token_hex(16)))
        span.of(job.id)
        return job


async def _submitted(connection: Connection, request: wire.SubmitRequest) -> wire.Job:
    for pause in _TRIES:
        try:
            job: wire.Job = await connection.call(SUBMIT, request)
        except PeerLost:
            _heed()
            await asyncio.sleep(pause)
        else:
            return job
    last: wire.Job = await connection.call(SUBMIT, request)
    return last


async def follow_to_its_end(connection: Connection, job: str) -> AsyncGenerator[wire.Job]:
    """The job now, and again whenever it changes, until it is over.

    Raises PeerLost where the coordinator was never heard, or is away for long; JobNotFound where it knows the job no more.
    """
    span, error = traces.begin("follow", job), ""
    try:
        async with aclosing(_followed(connection, job)) as updates:
            async for update in updates:
                yield update
    except Exception as failure:
        error = type(failure).__name__
        raise
    finally:
        span.end(error)


async def _followed(connection: Connection, job: str) -> AsyncGenerator[wire.Job]:
    clock, last, failures = asyncio.get_running_loop().time, 0.0, 0
    while True:
        lost = PeerLost("the coordinator has ended the stream", remedy="See whether it still runs, and its log.")
        updates: Any = connection.subscribe(WATCH, wire.JobRequest(job=job))
        try:
            async with aclosing(updates):
                async for update in updates:
                    _heed()
                    last, failures = clock(), 0
                    yield update
                    if State(update.state).final:
                        return
        except PeerLost as error:
            _heed()
            lost = error
        if not last or clock() - last > AWAY + _PAUSE[-1]:
            raise lost
        await asyncio.sleep(_PAUSE[min(failures, len(_PAUSE) - 1)])
        failures += 1


def _heed() -> None:
    """Raises CancelledError where who watches was told to end, as by Ctrl-C: a stream may take it for the loss of its line."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
