"""Work of one loop side by side, of which nothing is left running: the first error ends the others before it is raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from common.errors import LocalProtocolError
from common.unheard import unheard

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


async def first_of(work: Iterable[Awaitable[T]]) -> tuple[int, T]:
    """Which of these ends first, and what it gives. The others have been ended then."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next((place, task.result()) for place, task in enumerate(tasks) if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def to_the_end(work: Awaitable[T]) -> T:
    """What it gives. A caller that is cancelled waits until it is through: what it has on disk by then is known of."""
    task = unheard(asyncio.ensure_future(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # once more: what is through is to be known of all the same
                await asyncio.wait({task})
        raise


@contextmanager
def ending(begun: Iterable[asyncio.Future[Any]]) -> Iterator[None]:
    """At its end, however that comes, whatever of these is not done is cancelled. begun: may grow and shrink meanwhile."""
    try:
        yield
    finally:
        for one in begun:
            one.cancel()


@asynccontextmanager
async def one_ahead(begun: Iterator[asyncio.Future[T]]) -> AsyncIterator[Callable[[], Awaitable[T]]]:
    """As long as it lasts, what gives the next of these at each call, once the one after it is begun.

    begun: begins each as it is asked for it. What was begun and is not taken is cancelled at the end.
    """
    coming = next(begun, None)

    async def take() -> T:
        nonlocal coming
        if coming is None:
            raise LocalProtocolError("more is taken than was to be begun")
        found = await coming
        coming = next(begun, None)
        return found

    try:
        yield take
    finally:
        if coming is not None:
            coming.cancel()
