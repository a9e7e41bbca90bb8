"""Logs: text for people, or one JSON object a line for machines. Either may leave the machine, so no row's data is in it.

Of an error, a log shows the public text; of a traceback, the places and not the values; of a warning or note that quotes
a dataset, what its `public` extra says. The whole text of these and of errors is in `local.log` in the data folder, for its
owner.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Literal

from common.errors import WattScoreError
from common.text.visible import lines, visible

LogFormat = Literal["text", "json"]
LOCAL = "local.log"  # in the data folder

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_WINDOW = 10.0
_LINES, _WARNINGS, _OTHERS = 500, 50, 3  # of one place in the code in that time: ours, ours that warn, other packages'
_LONGEST = 8000  # characters of a message
_LOCAL_BYTES, _LOCAL_FILES = 1 << 20, 3
_OURS = ("common", "wattscore", "grid-party", "bank-party")


@dataclass
class Place:
    """The place of a task: its job, and where in it. Tasks and threads that it starts share the object, and so the place."""

    job: str
    stage: str = ""
    round: int | None = None


_place: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def within(place: Place) -> Iterator[None]:
    """Marks what is logged inside, and by tasks begun inside, as from there."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


class JsonFormatter(logging.Formatter):
    """time (UTC), level, logger, message; where there is one: job, stage, round, error (its kind), trace (places)."""

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _public(record)[:_LONGEST],
        }
        if (place := _place.get()) is not None:
            shown |= {"job": place.job, "stage": place.stage, "round": place.round}
        shown["error"] = _kind(record)
        if record.exc_info and record.exc_info[2]:
            shown["trace"] = _trace(record)
        shown["more"] = getattr(record, "more", None)
        line = json.dumps({key: value for key, value in shown.items() if value not in (None, "")}, ensure_ascii=False)
        return visible(line)  # in JSON, the same text


class TextFormatter(logging.Formatter):
    """time, level, logger, message; of a traceback its kind and places."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {_public(record)[:_LONGEST]}{_more(record)}"
        if record.exc_info and record.exc_info[0]:
            line = " ".join([line, f"({_kind(record)} at", ", ".join(_trace(record)) + ")"])
        return visible(line)


class LocalFormatter(logging.Formatter):
    """The whole text, of a traceback too: each line of it visible."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record) + _more(record)
        return lines(text) if record.exc_info else visible(text)


class Seldom(logging.Filter):
    """Lets a place in the code log so many lines in `_WINDOW` seconds; the next line after these says how many were kept back.

    Whoever can have a line written, by a frame that is none or a call that is refused, cannot fill a disk with it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock, self._lock = clock, threading.Lock()
        self._places: dict[tuple[str, str, int], tuple[float, int]] = {}  # since when, how many lines

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.name, record.pathname, record.lineno), self._clock()
        most = (_LINES if record.levelno < logging.WARNING else _WARNINGS) if record.name.startswith(_OURS) else _OTHERS
        with self._lock:
            since, count = self._places.get(place, (now, 0))
            if now - since < _WINDOW:
                self._places[place] = since, count + 1
                return count < most
            self._places[place] = now, 1
        if count > most:
            record.more = count - most
        return True


def _lost(record: logging.LogRecord) -> logging.LogRecord:
    """What is said in the place of a line that could not be written: its place in the code, and why, without its text.

    Python would print the text and its arguments, a whole error among them, to the standard error output.
    """
    kind, error, _ = sys.exc_info()
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else kind.__name__ if kind else "unknown"
    said = ("a line of %s:%d is lost to the log or to %s: %s", (Path(record.pathname).name, record.lineno, LOCAL, why))
    return logging.LogRecord(__name__, logging.ERROR, __file__, 0, *said, None)


class _Stream(logging.StreamHandler):  # type: ignore[type-arg]
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        with suppress(Exception):  # the stream itself may be what fails
            self.stream.write(self.format(_lost(record)) + self.terminator)


class _Local(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        said = _lost(record)
        for handler in logging.getLogger().handlers:
            if handler is not self:
                handler.handle(said)


def _more(record: logging.LogRecord) -> str:
    return f" (and {more:,} lines like it)" if (more := getattr(record, "more", 0)) else ""


def _trace(record: logging.LogRecord) -> list[str]:
    frames = traceback.extract_tb(record.exc_info[2]) if record.exc_info else []
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _public(record: logging.LogRecord) -> str:
    if (public := getattr(record, "public", None)) is not None:
        return str(public)
    if not record.name.startswith(_OURS):
        return record.getMessage().split("\n")[0]  # what follows, of asyncio's, may be the text of an error
    if isinstance(record.args, tuple):
        return record.msg % tuple(map(_shown, record.args)) if record.args else str(record.msg)
    return record.getMessage()


def _shown(value: object) -> object:
    if isinstance(value, WattScoreError):
        return f"{value.public.rstrip('.')}. {value.remedy}".rstrip() if value.remedy else value.public
    return type(value).__name__ if isinstance(value, BaseException) else value


def _kind(record: logging.LogRecord) -> str:
    """The class of the error a record tells of: given as `error`, being logged, or among what the message shows."""
    if (given := getattr(record, "error", None)) is not None:
        return str(given)
    if record.exc_info and record.exc_info[0]:
        return record.exc_info[0].__name__
    shown = record.args if isinstance(record.args, tuple) else ()
    return next((type(value).__name__ for value in shown if isinstance(value, BaseException)), "")


def set_logging(level: str, kind: LogFormat = "text", data: Path | None = None) -> None:
    """Logs to the standard error output, without rows' data. `data`: the folder of local.log."""
    stream = _Stream(sys.stderr)
    stream.setFormatter(JsonFormatter() if kind == "json" else TextFormatter())
    stream.addFilter(Seldom())
    handlers: list[logging.Handler] = [stream]
    if kind == "json":
        sys.excepthook = _log_bug
    if data is not None:
        handlers.append(_local(data))
    logging.basicConfig(level=level, handlers=handlers, force=True)


def _local(data: Path) -> logging.Handler:
    data.mkdir(parents=True, exist_ok=True)
    handler = _Local(data / LOCAL, maxBytes=_LOCAL_BYTES, backupCount=_LOCAL_FILES, encoding="utf-8")
    handler.setFormatter(LocalFormatter(_TEXT))
    handler.addFilter(_for_owner)
    handler.addFilter(Seldom())
    return handler


def _for_owner(record: logging.LogRecord) -> bool:
    """Warnings, and whatever has another text for others."""
    return record.levelno >= logging.WARNING or hasattr(record, "public")


def fatal(name: str, error: WattScoreError) -> None:
    """Why a process does not start or cannot go on: a line of the log's kind."""
    if any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers):
        logging.getLogger(name).critical("%s", error)
    else:
        sys.stderr.write(visible(f"{name}: {error}") + "\n")


def _log_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("common").critical("ended by a bug", exc_info=(kind, error, trace))
