"""Rows with which sessions ended before they were answered: a request that always stalls must not cost a stock each time."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.disk.book import KeptBook
from common.errors import ConfigError, PeerLost

_log = logging.getLogger(__name__)
_TWICE = 2  # sessions that may end with a row, as the grid's restart ends one, before it waits
_WAIT = (300.0, 1200.0, 4800.0, 19200.0, 86400.0)  # seconds that it then does, after each further one
_MOST = 10_000  # rows that are remembered, the newest
_KEEP = 86_400.0  # seconds for which a row is remembered that may be asked for and is not
_TABLE = """
create table if not exists suspects (
    whose text not null, id text not null, month integer, ended integer not null, until real not null, lot integer not null,
    size integer not null
);
create unique index if not exists suspects_row on suspects (whose, id, ifnull(month, -1));
"""
Key = tuple[str, int | None]  # a row's id and month


@dataclass(frozen=True)
class _Held:
    """Of a row: how many sessions ended with it, until when it is not asked for; in which lot, and of how many rows that is.

    A lot are those rows of the last such session with which as many sessions had ended: any of them may be the cause.
    """

    ended: int
    until: float
    lot: int
    size: int


class SuspectBook:
    """Such rows in one file, across restarts, which would else cost two stocks again. It holds ids: for the bank alone."""

    def __init__(self, file: Path, whose: str, version: int) -> None:
        """file: may be another book's of this version, which has room for a table more. whose: of which queue."""
        self._kept, self._whose = KeptBook(file, version=version), whose
        self._changed: dict[Key, _Held | None] = {}  # not written yet
        self._lock, self._writing = threading.Lock(), ThreadPoolExecutor(1, "suspects")
        with self._kept.open() as book:
            book.executescript(_TABLE)

    def rows(self) -> Iterator[tuple[Key, _Held]]:
        """All of them, the oldest first, once what has changed by now is written."""
        for name, month, *held in self._writing.submit(self._read).result():
            yield (name, month), _Held(*held)

    def _read(self) -> list[tuple[Any, ...]]:
        asked = "select id, month, ended, until, lot, size from suspects where whose = ? order by rowid"
        with self._kept.open() as book:
            return book.execute(asked, (self._whose,)).fetchall()

    def change(self, changed: Mapping[Key, _Held | None]) -> None:
        """Writes rows as they are now, beside who calls: a disk that hangs holds up no answer. None: a row is forgotten.

        What comes while it writes is written at once after that. Where the disk refuses, what is in memory still holds until
        the process ends.
        """
        with self._lock:
            idle = not self._changed
            for row, held in changed.items():
                self._changed.pop(row, None)
                self._changed[row] = held
            if idle and self._changed:
                self._writing.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, {}
        gone = [(self._whose, *row) for row in changed]
        new = [(self._whose, *row, one.ended, one.until, one.lot, one.size) for row, one in changed.items() if one]
        try:
            with self._kept.open() as book:
                book.executemany("delete from suspects where whose = ? and id = ? and month is ?", gone)
                book.executemany("insert into suspects values (?, ?, ?, ?, ?, ?, ?)", new)
        except (ConfigError, OSError, sqlite3.Error):
            _log.exception("rows with which sessions have ended could not be written down: a restart would forget them")

    def close(self) -> None:
        """Once all is written."""
        self._writing.submit(self._kept.close).result()


class Suspects:
    """How many sessions have ended with each row, since it was answered last; in a book, if there is one."""

    def __init__(self, clock: Callable[[], float] = time.time, book: SuspectBook | None = None) -> None:
        self._clock, self._book = clock, book
        self._held: OrderedDict[Key, _Held] = OrderedDict(book.rows() if book else ())
        self._lot = max((held.lot for held in self._held.values()), default=0)
        if (gone := self._forget()) and book is not None:
            book.change(dict.fromkeys(gone))

    def lost(self, rows: Iterable[Key]) -> None:
        """A session has ended with these rows, each counted once."""
        if not (named := dict.fromkeys(rows)):
            return
        gone = self._forget()
        ended = {row: self._held[row].ended + 1 if row in self._held else 1 for row in named}
        self._lot += 1
        most, now = max(ended.values()), self._clock()
        alike = sum(count == most for count in ended.values())
        for row, count in ended.items():
            wait = 0.0 if count < _TWICE else _WAIT[min(count - _TWICE, len(_WAIT) - 1)]
            self._held.pop(row, None)
            self._held[row] = _Held(count, now + wait, self._lot, alike if count == most else 1)
        while len(self._held) > _MOST:
            gone.append(self._held.popitem(last=False)[0])
        if self._book is not None:
            self._book.change(dict.fromkeys(gone) | {row: self._held[row] for row in ended if row in self._held})

    def answered(self, rows: Iterable[Key]) -> None:
        """A session has answered these."""
        if self._held:
            gone = [row for row in dict.fromkeys(rows) if self._held.pop(row, None) is not None]
            if gone and self._book is not None:
                self._book.change(dict.fromkeys(gone))

    def _forget(self) -> list[Key]:
        """Ids that nobody asks for any more are not kept: takes them from memory, and says which to take from the book."""
        now = self._clock()
        gone = [row for row, held in self._held.items() if held.until < now - _KEEP]
        for row in gone:
            del self._held[row]
        return gone

    def any(self, rows: Iterable[Key]) -> bool:
        """Whether a session has ended with one of these: they are then asked for by themselves."""
        return bool(self._held) and any(row in self._held for row in rows)

    def why_not(self, rows: Iterable[Key]) -> PeerLost | None:
        """Why these may not be asked for now, if so."""
        if (latest := self._latest(rows)) is None:
            return None
        held, wait = latest
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + wait, UTC)
        apart = f"; half of them, {held.size // 2} at most, now, as any may be the cause" if held.size > 1 else ""
        return PeerLost(
            f"{held.ended} sessions have ended with rows of this request before these were answered,"
            " each at the cost of a stock",
            remedy=f"Ask for other rows; for these from {at:%Y-%m-%d %H:%M} UTC on{apart}."
            " See the logs of both parties' daemons.",
        )

    def seconds(self, rows: Iterable[Key]) -> float:
        """Until these may be asked for; 0 where they may now."""
        latest = self._latest(rows)
        return 0.0 if latest is None else latest[1]

    def _latest(self, rows: Iterable[Key]) -> tuple[_Held, float] | None:
        """Of those of which more than half of their lot are here, that which waits the longest, and the seconds left."""
        if not self._held:
            return None
        now = self._clock()
        held = [self._held[row] for row in dict.fromkeys(rows) if row in self._held]
        # A clock that was set back bars nothing for longer than was meant.
        left = [(one, min(one.until - now, _WAIT[-1])) for one in held]
        late = [(one, wait) for one, wait in left if wait > 0.0]
        here = Counter(one.lot for one, _ in late)
        return max(((one, wait) for one, wait in late if 2 * here[one.lot] > one.size), key=lambda one: one[1], default=None)

    def close(self) -> None:
        if self._book is not None:
            self._book.close()
