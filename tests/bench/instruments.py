"""Where a process's processor time goes: each thread's time is charged to the innermost named piece of work it runs.

Nothing of this is in the product: `tests.bench.profiled` puts it around functions of a daemon before the daemon starts.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TASKS = Path("/proc/self/task")


class Meter:
    """Nanoseconds of processor time by name, each piece less the named pieces inside it; and of waiting, by the wall clock."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: list[Counter[str]] = []
        self._lock = threading.Lock()
        self.waited: Counter[str] = Counter()

    def totals(self) -> Counter[str]:
        with self._lock:
            return sum((Counter(c) for c in self._all), start=Counter())

    @contextmanager
    def charge(self, name: str) -> Iterator[None]:
        """Charges this thread's time to `name` until the block ends."""
        stack, spent = self._mine()
        self._mark(stack, spent)
        stack.append(name)
        try:
            yield
        finally:
            self._mark(stack, spent)
            stack.pop()

    def _mine(self) -> tuple[list[str], Counter[str]]:
        local = self._local
        if not hasattr(local, "stack"):
            local.stack, local.spent, local.since = [], Counter(), 0
            with self._lock:
                self._all.append(local.spent)
        return local.stack, local.spent

    def _mark(self, stack: list[str], spent: Counter[str]) -> None:
        now = time.thread_time_ns()
        if stack:
            spent[stack[-1]] += now - self._local.since
        self._local.since = now

    def function(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, charged to `name`; what it returns as a generator is charged as it is drawn from."""

        @functools.wraps(work)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.charge(name):
                result = work(*args, **kwargs)
            return self._drawn(name, result) if isinstance(result, Generator) else result

        return run

    def _drawn(self, name: str, source: Generator[Any, Any, Any]) -> Iterator[Any]:
        end = object()
        while True:
            with self.charge(name):
                item = next(source, end)
            if item is end:
                return
            yield item

    def coroutine(self, name: str, work: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        """`work`, of which the time it runs is charged to `name`, not the time it is suspended."""

        @functools.wraps(work)
        async def run(*args: Any, **kwargs: Any) -> Any:
            return await _Slices(self, name, work(*args, **kwargs))

        return run

    def waiting(self, name: str, work: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        """`work`, of which the whole duration is counted as waiting."""

        @functools.wraps(work)
        async def run(*args: Any, **kwargs: Any) -> Any:
            start = time.monotonic_ns()
            try:
                return await work(*args, **kwargs)
            finally:
                self.waited[name] += time.monotonic_ns() - start

        return run


class _Slices:
    """Awaits a coroutine and charges each of its slices."""

    def __init__(self, meter: Meter, name: str, work: Coroutine[Any, Any, Any]) -> None:
        self._meter, self._name, self._work = meter, name, work

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = functools.partial(self._work.send, None)
        while True:
            try:
                with self._meter.charge(self._name):
                    waits_for = step()
            except StopIteration as done:
                return done.value
            try:
                value = yield waits_for
                step = functools.partial(self._work.send, value)
            except BaseException as error:  # cancelled, or what it awaited failed: it must hear of it
                step = functools.partial(self._work.throw, error)


def threads() -> dict[str, Counter[str]]:
    """Of each thread of this process, by kind: nanoseconds it `ran`, and was `ready` with no core to run on.

    Kinds: loop (the main thread), workers (asyncio's), grpc (its own threads, and the one that polls for Python), other.
    """
    names = {str(t.native_id): t.name for t in threading.enumerate()}
    found: dict[str, Counter[str]] = {kind: Counter() for kind in ("loop", "workers", "grpc", "other")}
    for task in _TASKS.iterdir():
        try:
            ran, ready, _ = (task / "schedstat").read_text().split()
            comm = (task / "comm").read_text().strip()
        except OSError:  # it has ended
            continue
        found[_kind(names.get(task.name), comm)] += Counter(ran=int(ran), ready=int(ready))
    return found


def _kind(python: str | None, comm: str) -> str:
    if python == "MainThread":
        return "loop"
    if python is not None:
        return "grpc" if "_poll_wrapper" in python else "workers"
    return "other" if comm.startswith("python") or comm.endswith("_party") else "grpc"
