"""Spans of a client's own waiting, where its configuration has `[tracing]`: beside those of the daemons, in its job's trace."""

from __future__ import annotations

from common.process.settings import ClientSettings
from common.text import traces

SERVICE = "wattscore"  # as a collector lists it


class Spans:
    """Begins as the configuration says, unless spans of this process go somewhere already, and ends at `close`."""

    def __init__(self, settings: ClientSettings) -> None:
        """Raises ConfigError where the extra is not installed."""
        self._begun = settings.tracing is not None and not traces.used()
        if self._begun:
            from common.process.serve import begin_tracing  # what a daemon has; other clients start without it

            begin_tracing(settings, SERVICE)

    def close(self) -> None:
        """Hands on what is left, for some seconds at most."""
        if self._begun:
            traces.close()
            self._begun = False
