"""Rows with which sessions ended before they were answered: a request that always stalls must not cost a stock each time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from common.errors import PeerLost

_TWICE = 2  # sessions that may end with a row, as the grid's restart ends one, before it waits
_WAIT = (300.0, 1200.0, 4800.0, 19200.0, 86400.0)  # seconds that it then does, after each further one
_MOST = 10_000  # rows that are remembered, the newest
Key = tuple[str, int | None]  # a row's id and month


class Suspects:
    """How many sessions have ended with each row, since it was answered last; kept in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: OrderedDict[Key, tuple[int, float]] = OrderedDict()  # how many, and until when it is not asked for

    def lost(self, rows: Iterable[Key]) -> None:
        """A session has ended with these rows, each counted once."""
        for row in dict.fromkeys(rows):
            count = self._held.pop(row, (0, 0.0))[0] + 1
            wait = 0.0 if count < _TWICE else _WAIT[min(count - _TWICE, len(_WAIT) - 1)]
            self._held[row] = count, self._clock() + wait
        while len(self._held) > _MOST:
            self._held.popitem(last=False)

    def answered(self, rows: Iterable[Key]) -> None:
        """A session has answered these."""
        if self._held:
            for row in rows:
                self._held.pop(row, None)

    def any(self, rows: Iterable[Key]) -> bool:
        """Whether a session has ended with one of these: they are then asked for by themselves."""
        return bool(self._held) and any(row in self._held for row in rows)

    def why_not(self, rows: Iterable[Key]) -> PeerLost | None:
        """Why these may not be asked for now, if so."""
        if (latest := self._latest(rows)) is None:
            return None
        count, wait = latest
        at = datetime.now(UTC) + timedelta(seconds=wait)
        return PeerLost(
            f"{count} sessions have ended with rows of this request before these were answered, each at the cost of a stock",
            remedy=f"Ask for other rows; for these from {at:%Y-%m-%d %H:%M} UTC on. See the logs of both parties' daemons.",
        )

    def seconds(self, rows: Iterable[Key]) -> float:
        """Until these may be asked for; 0 where they may now."""
        latest = self._latest(rows)
        return 0.0 if latest is None else latest[1]

    def _latest(self, rows: Iterable[Key]) -> tuple[int, float] | None:
        """Of that which waits the longest: how many sessions ended with it, and the seconds left."""
        if not self._held:
            return None
        now, held = self._clock(), [self._held[row] for row in rows if row in self._held]
        late = [(count, until - now) for count, until in held if until > now]
        return max(late, key=lambda one: one[1], default=None)
