"""What was last read of files that cannot be read now: good for a while, so that an editor's slip ends no job, and no more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import ConfigError

_log = logging.getLogger(__name__)

KEEP = 600.0  # seconds for which what was last read is used
T = TypeVar("T")


class LastGood:
    """Values by name, each read anew at each use."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._held: dict[object, object] = {}
        self._since: dict[object, float] = {}  # when it was first found that it cannot be read

    def held(self, name: object, default: T) -> T:
        """What was last read."""
        found = self._held.get(name, default)
        assert isinstance(found, type(default))  # noqa: S101
        return found

    def use(self, name: object, read: Callable[[], T]) -> T:
        """What `read` gives; while it raises ConfigError what it gave last, for `KEEP` seconds. Raises that error otherwise."""
        try:
            value = read()
        except ConfigError as error:
            now = self._clock()
            with self._lock:
                first = name not in self._since
                since = self._since.setdefault(name, now)
            if name not in self._held or now - since > KEEP:
                raise
            if first:
                _log.error("%s; what was read before is used for %.0f minutes, then nobody is trusted", error, KEEP / 60)
            held: T = self._held[name]  # type: ignore[assignment]
            return held
        with self._lock:
            self._held[name] = value
            self._since.pop(name, None)
        return value
