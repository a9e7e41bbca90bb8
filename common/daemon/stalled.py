"""A job that no coordinator watches ends once nothing happens in it any more: a stuck process still answers pings.

A job that is offered is watched by the coordinator, as PROTOCOL.md section 10 says.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from common.daemon.conduct import Running
from common.errors import PeerLost, WattScoreError

Signs = tuple[str, int, int, int, int, int]


IDLE = 90_000.0  # seconds for which the grid waits for a request: 25 h, an hour more than a bank's session lasts by default


async def stop_stalled(running: Running, limit: float, stop: Callable[[WattScoreError], None], idle: float = math.inf) -> None:
    """Stops a job in which, for so many seconds, this party has come no further and the other has sent nothing.

    A session that waits for a request may wait for `idle` seconds; what is asked for is scored, or it ends.
    """
    signs, since = _signs(running), time.monotonic()
    while True:
        await asyncio.sleep(limit)
        if (now := _signs(running)) != signs:
            signs, since = now, time.monotonic()
        elif not running.requests.wanted:
            stop(PeerLost(f"nothing has happened in this job for {limit:.0f} s", remedy="See both parties' logs."))
            return
        elif (quiet := time.monotonic() - since) >= idle:
            remedy = "The bank begins another session by itself; see the log of its daemon if it does not."
            stop(PeerLost(f"the bank has asked for nothing in this session for {quiet / 3600.0:.1f} h", remedy=remedy))
            return


def _signs(running: Running) -> Signs:
    """What differs once anything has happened."""
    assert running.reporter is not None  # noqa: S101  (it is made as the attempt begins)
    latest = running.reporter.latest
    return latest.stage, latest.done, latest.rows, len(latest.warnings), running.peer.received, running.requests.begun
