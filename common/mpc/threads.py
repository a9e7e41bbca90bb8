"""Work made several at a time in threads, and given in order: numpy and AES let go of the interpreter while they compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MOST = 64  # threads of a process for this
AHEAD_BYTES = 512 << 20  # that what is worked on, and what waits to be taken, may hold together; one piece may hold more
_POOL = ThreadPoolExecutor(MOST, "in-order")  # begins a thread when one is needed


def within(workers: int, each: int) -> int:
    """How many of so many workers work at a time where each holds so many bytes: what AHEAD_BYTES allow, and at least one."""
    return max(1, min(workers, AHEAD_BYTES // max(1, each)))


def in_order(work: Iterable[Callable[[], T]], workers: int) -> Iterator[T]:
    """What each gives, in order: `workers` of them are worked on, or wait to be taken, at a time.

    With one they run where they are asked for. The first error is raised in its place; what was not begun then never is.
    """
    if workers == 1:
        for each in work:
            yield each()
        return
    ahead: deque[Future[T]] = deque()
    try:
        for each in work:
            if len(ahead) == workers:
                yield ahead.popleft().result()
            ahead.append(_POOL.submit(each))
        while ahead:
            yield ahead.popleft().result()
    finally:
        for left in ahead:
            left.cancel()
