"""Spans of a client's own waiting, where its configuration has `[tracing]`: beside those of the daemons, in its job's trace."""

from __future__ import annotations

import threading

from common.process.settings import ClientSettings
from common.text import traces

SERVICE = "wattscore"  # as a collector lists it


_lock = threading.Lock()
_holders: list[Spans] = []  # of this process, whose spans go to the same collector: that of the first


class Spans:
    """Begins as the configuration says, unless spans of this process go somewhere already, and ends with the last of them."""

    def __init__(self, settings: ClientSettings) -> None:
        """Raises ConfigError where the extra is not installed."""
        with _lock:
            if settings.tracing is None or (traces.used() and not _holders):  # a daemon's, which ends them itself
                return
            if not traces.used():
                from common.process.serve import begin_tracing  # what a daemon has; other clients start without it

                begin_tracing(settings, SERVICE)
            _holders.append(self)

    def close(self) -> None:
        """Hands on what is left, for some seconds at most, if nobody else in this process has spans of a client."""
        with _lock:
            if self in _holders:
                _holders.remove(self)
                if not _holders:
                    traces.close()
