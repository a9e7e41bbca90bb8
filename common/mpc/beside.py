"""Work of one loop side by side, of which nothing is left running: the first error ends the others before it is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def side_by_side(work: Iterable[Awaitable[T]]) -> list[T]:
    """What each gives, in order. Where one fails, or the caller is cancelled, the others have been ended."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def ending(begun: Iterable[asyncio.Future[Any]]) -> Iterator[None]:
    """At its end, however that comes, whatever of these is not done is cancelled. begun: may grow and shrink meanwhile."""
    try:
        yield
    finally:
        for one in begun:
            one.cancel()
