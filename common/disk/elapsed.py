"""Time as a book counts it: what is to count for a day does so however somebody sets the clock meanwhile.

While a machine runs its kernel counts how long, whatever the clock says. Of the time in which it was off only the clock can
tell, which is believed for no more than it says.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_KEEP = 60.0  # seconds after which a book that is written is told anew what the time is
_TABLE = (
    "create table if not exists elapsed"
    " (one integer primary key check (one = 1), start text not null, ran real not null, clock real not null, at real not null)"
)


@dataclass(frozen=True)
class Times:
    """What a machine says of time. clock: seconds since 1970, as it is set.

    ran: its present start by a name, and seconds since then.
    """

    clock: Callable[[], float]
    ran: Callable[[], tuple[str, float]]


class _Running:
    """Linux counts for all processes alike, also while it sleeps; of others each process counts for itself."""

    def __init__(self) -> None:
        self._clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        try:
            self._start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            self._start = secrets.token_hex(16)

    def __call__(self) -> tuple[str, float]:
        return self._start, time.clock_gettime(self._clock)


MACHINE = Times(time.time, _Running())


class Elapsed:
    """Seconds since 1970, by the clock as it was when the book was begun and by how long has gone by since then."""

    def __init__(
        self, book: sqlite3.Connection, times: Times = MACHINE, last: Callable[[], float | None] = lambda: None
    ) -> None:
        """It writes to `book`. last: the latest time in a book that an earlier release wrote, as its clock said."""
        self._times, self._anchor = times, (0.0, 0.0)
        self._kept = -_KEEP
        book.execute(_TABLE)
        if not self._goes_on(book):
            if not book.in_transaction:
                book.execute("begin immediate")  # of two processes one says what the time is
            if not self._goes_on(book):
                self._begin(book, last)

    def _goes_on(self, book: sqlite3.Connection) -> bool:
        """Whether the book was told in this start of the machine."""
        start, ran = self._times.ran()
        found = book.execute("select ran, at from elapsed where start = ?", (start,)).fetchone()
        if found is None or found[0] > ran:
            return False
        self._anchor, self._kept = found, found[0]
        return True

    def _begin(self, book: sqlite3.Connection, last: Callable[[], float | None]) -> None:
        ran, clock = self._times.ran()[1], self._times.clock()
        found = book.execute("select clock, at from elapsed").fetchone()
        # Of a clock that was wrong, then or now, the lesser tale: nothing counts for less than it should.
        off = 0.0 if found is None else max(0.0, min(clock - found[0], clock - found[1]))
        at = max(clock, last() or clock) if found is None else found[1] + off
        self._anchor = (ran, at)
        self.keep(book)

    def __call__(self) -> float:
        return self._anchor[1] + self._times.ran()[1] - self._anchor[0]

    def keep(self, book: sqlite3.Connection) -> bool:
        """Tells a book that is being written, once a minute; whether it did."""
        start, ran = self._times.ran()
        if ran < self._kept + _KEEP:
            return False
        values = (start, ran, self._times.clock(), self())
        book.execute("insert or replace into elapsed values (1, ?, ?, ?, ?)", values)
        self._kept = ran
        return True

    def clock(self, at: float) -> float:
        """What the clock will say at this time, or said then if nobody has set it since."""
        return self._times.clock() + at - self()
