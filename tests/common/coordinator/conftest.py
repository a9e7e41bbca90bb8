from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from common.coordinator import cause, drive

STALL = 7.0  # a `stall_timeout` that passes when a test says so


@pytest.fixture(autouse=True)
def no_better_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for words that these tests do not say; those that say them later set the limit themselves."""
    monkeypatch.setattr(cause, "BETTER", 0.1)


@pytest.fixture
def stall_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Calling it lets a coordinator's STALL pass, once."""
    passed: asyncio.Queue[None] = asyncio.Queue()
    real = asyncio.wait

    async def wait(tasks: Any, *, timeout: float | None = None, **options: Any) -> Any:
        if timeout != STALL:
            return await real(tasks, timeout=timeout, **options)
        clock = asyncio.create_task(passed.get())
        try:
            done, pending = await real({*tasks, clock}, **options)
            return done - {clock}, pending - {clock}
        finally:
            clock.cancel()

    monkeypatch.setattr(drive.asyncio, "wait", wait)
    return lambda: passed.put_nowait(None)
