"""Where the time of a job goes, across processes: spans for whatever collects them. Nothing does unless a process is told to.

A span has a name, the id of a job and, of one that failed, the kind of its error: nothing else is ever in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

PARENT = "traceparent"  # the name under which a call says which span it is made in: W3C Trace Context
_LONGEST = 100  # characters of what a caller says there


class Span(Protocol):
    """Something that takes time. It is told once that it is over."""

    def of(self, job: str) -> None:
        """The job that it is part of, where that was not known before."""

    def end(self, error: str = "") -> None:
        """error: the kind of the error that ended it."""


class Tracer(Protocol):
    """What makes spans of a process and hands them on."""

    def begin(self, name: str, job: str = "", *, within: Span | None = None, called: str = "") -> Span:
        """within: the span that it is part of; called: the same at another process, as its call says. By default the current
        one; without any it begins the trace of `job`, which has the same name in all processes.
        """

    def current(self, span: Span) -> AbstractContextManager[None]:
        """Makes `span` the current one, for what runs inside and for tasks begun there."""

    def parent(self) -> str:
        """What a call says of the current span; empty without one."""

    def close(self) -> None:
        """Hands on what is left, for a moment."""


class _Nothing:
    """A span that nobody collects."""

    def of(self, job: str) -> None:
        pass

    def end(self, error: str = "") -> None:
        pass


NOTHING: Span = _Nothing()
_tracers: list[Tracer] = []  # of this process: none, or one


def use(tracer: Tracer | None) -> None:
    """From now on spans of this process go to `tracer`; None: to nobody."""
    _tracers[:] = [] if tracer is None else [tracer]


def used() -> bool:
    """Whether spans of this process go to a tracer."""
    return bool(_tracers)


def close() -> None:
    """Ends what `use` began."""
    for tracer in _tracers:
        tracer.close()
    use(None)


def begin(name: str, job: str = "", within: Span | None = None) -> Span:
    """A span that the caller ends. within: as of `Tracer.begin`."""
    return _tracers[0].begin(name, job, within=within) if _tracers else NOTHING


@contextmanager
def current(span: Span) -> Iterator[None]:
    """Makes `span` the current one inside."""
    if not _tracers or span is NOTHING:
        yield
        return
    with _tracers[0].current(span):
        yield


@contextmanager
def spanning(name: str, job: str = "", called: str = "") -> Iterator[Span]:
    """A span of what is inside, which is its current one. called: as of `Tracer.begin`."""
    if not _tracers:
        yield NOTHING
        return
    span = _tracers[0].begin(name, job, called=called)
    try:
        with _tracers[0].current(span):
            yield span
    except asyncio.CancelledError:
        span.end()  # as the other side ends a stream
        raise
    except BaseException as error:
        span.end(type(error).__name__)
        raise
    span.end()


def outgoing() -> tuple[tuple[str, str], ...]:
    """Metadata of a call, by which the other process knows in which span it is made; none where nobody collects."""
    parent = _tracers[0].parent() if _tracers else ""
    return ((PARENT, parent),) if parent else ()


def incoming(metadata: Iterable[tuple[str, Any]] | Mapping[str, Any] | None) -> str:
    """What a call says of its span, as far as it may be believed: a short text, or nothing; empty where nobody collects."""
    if not _tracers:
        return ""
    said = dict(metadata or ()).get(PARENT, "")
    return said if isinstance(said, str) and len(said) <= _LONGEST else ""
