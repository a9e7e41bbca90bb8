"""A job followed to its end, though the coordinator is away for a while: the job goes on, and so does who watches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from common.errors import PeerLost
from common.plan.job_states import State
from common.wire import coordinator_pb2 as wire
from common.wire.client import Connection
from common.wire.methods import WATCH

AWAY = 600.0  # seconds in which a coordinator that was heard comes back
_PAUSE = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts to reach it


async def follow_to_its_end(connection: Connection, job: str) -> AsyncGenerator[wire.Job]:
    """The job now, and again whenever it changes, until it is over.

    Raises PeerLost where the coordinator was never heard, or is away for long; JobNotFound where it knows the job no more.
    """
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
