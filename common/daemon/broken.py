"""A job ends soon after one of its lines has broken or been ended, also while it waits for nothing that comes over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from common.errors import WattScoreError
from common.wire.peer import FrameChannel

_LEFT = 2.0  # seconds in which a job that was about to end without that line does so, or says a better cause


Stop = Callable[[WattScoreError], None]
"""Ends an attempt at a job, for this cause."""


async def stop_broken(line: FrameChannel, stop: Stop) -> None:
    """Stops the job of this line once that has broken: pings find it, and nobody else would hear of it."""
    cause = await line.broken()
    await asyncio.sleep(_LEFT)
    stop(cause)


async def stop_told(line: FrameChannel, waits: Callable[[], bool], stop: Stop) -> None:
    """Stops a job once the other side has ended it where it waits for this one's own people: else it hears so by itself."""
    cause = await line.told()
    await asyncio.sleep(_LEFT)
    if waits():
        stop(cause)


class Watches:
    """What stops an attempt at a job from beside it, for as long as it goes on.

    One that ends already, of itself or as it was stopped, is not stopped again: a task that is cancelled twice leaves off what
    it does at its end, such as telling others the cause, or waiting for whether the other party has kept what both made.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop, self._tasks, self._over = stop, list[asyncio.Task[None]](), False

    def begin(self, watch: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
        """watch: is told what stops the attempt, and runs until this is over."""
        self._tasks.append(asyncio.create_task(watch(self._stop_once)))

    def line(self, line: FrameChannel) -> None:
        """From now on the attempt has this line to another process."""
        self.begin(partial(stop_broken, line))

    def idle_line(self, waits: Callable[[], bool], line: FrameChannel) -> None:
        """The same of one to a party that may end the job while this one reads nothing of it, for hours, as `waits` says."""
        self.line(line)
        self.begin(partial(stop_told, line, waits))

    def end(self) -> None:
        """The attempt has come to its end, well or not. Tasks are let go of: one that was cancelled holds its line's call."""
        self._over = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()

    def _stop_once(self, cause: WattScoreError) -> None:
        if not self._over:
            self._over = True
            self._stop(cause)
