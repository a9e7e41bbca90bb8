"""A job that no coordinator watches ends once nothing happens in it any more: a stuck process still answers pings.

A job that is offered is watched by the coordinator, as PROTOCOL.md section 10 says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from common.daemon.conduct import Running
from common.errors import PeerLost, WattScoreError

Signs = tuple[str, int, int, int, int, int]


async def stop_stalled(running: Running, limit: float, stop: Callable[[WattScoreError], None]) -> None:
    """Stops a job in which, for so many seconds, this party has come no further and the other has sent nothing.

    A session that waits for a request may wait for as long as it is kept; what is asked for is scored, or it ends.
    """
    while True:
        before = _signs(running)
        await asyncio.sleep(limit)
        if _signs(running) == before and not running.requests.wanted:
            stop(PeerLost(f"nothing has happened in this job for {limit:.0f} s", remedy="See both parties' logs."))
            return


def _signs(running: Running) -> Signs:
    """What differs once anything has happened."""
    assert running.reporter is not None  # noqa: S101  (it is made as the attempt begins)
    latest = running.reporter.latest
    return latest.stage, latest.done, latest.rows, len(latest.warnings), running.peer.received, running.requests.begun
