"""How fast stocks are used, and so until when they last. A session that ends loses what is left of the one it uses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

_HOUR = 3600.0
_DAY = 24
_LEAST = 0.25  # hours: over less nothing is said of an hour


class Pace:
    """Rows used by the hour, over the last day."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun = clock, clock()
        self._hours: deque[tuple[int, int]] = deque(maxlen=_DAY + 1)  # which, and the rows used in it

    def add(self, rows: int) -> None:
        hour = int(self._clock() // _HOUR)
        if self._hours and self._hours[-1][0] == hour:
            rows += self._hours.pop()[1]
        self._hours.append((hour, rows))

    @property
    def an_hour(self) -> float:
        """Rows an hour."""
        now = self._clock() / _HOUR
        since = max(self._begun / _HOUR, now - _DAY)
        return sum(rows for hour, rows in self._hours if hour + 1 > since) / max(now - since, _LEAST)

    def lasts(self, rows: int, behind: Sequence[int], renewed: float, every: float) -> float:
        """Hours until nothing is left, at this pace: of the stock in use, and of those behind it, the smallest first.

        renewed: hours until the session ends anyway, and what is left of its stock is lost; every: hours of each session.
        """
        end, now, pace = renewed, 0.0, self.an_hour
        for left in (rows, *sorted(behind)):
            used_up = now + left / pace if pace else end
            if used_up < end:
                now = used_up
            else:
                now, end = end, end + every
        return now
