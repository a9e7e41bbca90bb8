"""What a party must do in the end, though its disk refuses now: tried again, as a full disk must not end the daemon."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from common.disk.refused import refused

_log = logging.getLogger(__name__)

PAUSE = 10.0  # seconds before it is tried again


class Again:
    """Work of one event loop that may be done twice."""

    def __init__(self) -> None:
        self._tasks = set[asyncio.Task[None]]()

    async def do(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Does `work` now, and again after every pause while the disk refuses; that is logged once."""
        try:
            await work()
        except OSError as error:
            _log.error("%s: %s It is tried again every %.0f s.", what, refused(error) or error, PAUSE)
            task = asyncio.create_task(self._later(what, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _later(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await work()
            except OSError:
                continue
            _log.info("%s: done at last", what)
            return
