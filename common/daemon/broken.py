"""A job ends soon after one of its lines has broken, also while it waits for nothing that comes over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from common.errors import WattScoreError
from common.wire.peer import FrameChannel

_LEFT = 2.0  # seconds in which a job that was about to end without that line does so, or says a better cause


async def stop_broken(line: FrameChannel, stop: Callable[[WattScoreError], None]) -> None:
    """Stops the job of this line once that has broken: pings find it, and nobody else would hear of it."""
    cause = await line.broken()
    await asyncio.sleep(_LEFT)
    stop(cause)
