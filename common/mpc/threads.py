"""Work made several at a time in threads, and given in order: numpy and AES let go of the interpreter while they compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_order(work: Iterable[Callable[[], T]], workers: int) -> Iterator[T]:
    """What each gives, in order; `workers` of them at a time, no more than as many ahead of what is taken.

    With one they run where they are asked for. The first error is raised in its place; what was not begun then never is.
    """
    if workers == 1:
        for each in work:
            yield each()
        return
    ahead: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for each in work:
                ahead.append(pool.submit(each))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for left in ahead:
                left.cancel()
