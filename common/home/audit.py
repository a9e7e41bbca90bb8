"""A party's audit log: what it was offered, decided, opened, promoted and let pass, chained so that it cannot be rewritten.

Each entry's head is a hash of the head before and of the entry. The other party is told the head at each job and keeps it in
its own log: who rewrites, shortens or restores a log must rewrite the other's too. PROTOCOL.md section 1.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from common.disk.book import open_book
from common.errors import DataError, PolicyError

_VERSION = 1  # of how entries are hashed
_TABLE = (
    "create table if not exists entries (number integer primary key, at real not null, job text not null,"
    " what text not null, detail text not null, head blob not null)"
)
BEHIND = "behind"  # the rule that a person lets pass: a log or book may be behind what it was
ORIGIN = hashlib.blake2b(b"nothing was entered yet", digest_size=32, person=b"wattscore.audit").digest()


class What(StrEnum):
    """The kinds of entry."""

    OFFER = "offer"  # a job, its plan's digest and who asked for it
    ACCEPT = "accept"
    HOLD = "hold"  # until people of this party say that it may run
    APPROVE = "approve"  # by whom
    DENY = "deny"
    WITHDRAW = "withdraw"  # a grant, by whom
    REFUSE = "refuse"  # with the kind of the error
    PEER = "peer"  # the other party's head, as it was told
    TAKE = "take"  # a stock, by the digest of what it was dealt, before its first mask serves
    OPEN = "open"  # for the first time in a job, before it leaves or is taken
    PROMOTE = "promote"
    OVERRIDE = "override"  # a person's word that something beyond the rules may be
    RESTORE = "restore"  # a back-up was put in the place of what was there
    PRUNE = "prune"  # what a person has deleted of what may go
    END = "end"  # with all that was opened, and where it failed what it was charged for; late: it could not be entered then


@dataclass(frozen=True)
class Head:
    """The place of a log: how many entries it has, and the hash of all of them, 32 bytes."""

    number: int = 0
    digest: bytes = ORIGIN


@dataclass(frozen=True)
class Entry:
    """at: seconds since 1970; job: its name, empty for what is of none; detail: JSON."""

    number: int
    at: float
    job: str
    what: str
    detail: str
    head: bytes

    def follows(self, before: bytes) -> bytes:
        """The head that this entry must have after `before`."""
        text = json.dumps([self.number, self.at, self.job, self.what, self.detail])
        return hashlib.blake2b(before + text.encode(), digest_size=32, person=b"wattscore.audit").digest()


class AuditLog:
    """One SQLite file, each entry durable before `add` returns. clock: seconds since 1970."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        with self._open() as book:
            book.execute(_TABLE)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    def add(self, what: What, job: str = "", **detail: Any) -> Head:
        """Enters it; the head from now on, which tells nothing of the entry: its salt is in no other's hands."""
        with self._open() as book:
            book.execute("begin immediate")  # a command may write beside the daemon
            return self._add(book, what, job, detail)

    def hear(self, job: str, told: Head, who: str = "") -> Head:
        """Enters the other party's head as it was told at this job, or the one that another job has told meanwhile, if later.

        The head that is entered. who: as of `held`.
        """
        with self._open() as book:
            book.execute("begin immediate")
            held = _held(_last(book, What.PEER, who))
            newest = told if told.number > held.number else held
            named = {"who": who} if who else {}
            self._add(book, What.PEER, job, {"number": newest.number, "head": newest.digest.hex(), **named})
        return newest

    def end(self, job: str, books: Callable[[], Mapping[str, int]], **detail: Any) -> Head:
        """Enters how a job ended. books: how much stands in each by now, read while nobody else enters that of another job.

        So the last of such entries has the most, also where jobs end at one moment.
        """
        with self._open() as book:
            book.execute("begin immediate")
            return self._add(book, What.END, job, {**detail, "books": dict(books())})

    def _add(self, book: sqlite3.Connection, what: What, job: str, detail: dict[str, Any]) -> Head:
        detail["salt"], before = secrets.token_hex(16), _head(book)
        entry = Entry(before.number + 1, self._clock(), job, what.value, json.dumps(detail, sort_keys=True), b"")
        head = Head(entry.number, entry.follows(before.digest))
        row = (entry.number, entry.at, entry.job, entry.what, entry.detail, head.digest)
        book.execute("insert into entries values (?, ?, ?, ?, ?, ?)", row)
        return head

    @property
    def head(self) -> Head:
        with self._open() as book:
            return _head(book)

    def at(self, number: int) -> Head | None:
        """The head after so many entries; None where there are not as many."""
        if number == 0:
            return Head()
        with self._open() as book:
            found = book.execute("select head from entries where number = ?", (number,)).fetchone()
        return None if found is None else Head(number, found[0])

    def entries(self, job: str = "") -> Iterator[Entry]:
        """All entries, or those of one job, oldest first."""
        where, values = ("where job = ?", (job,)) if job else ("", ())
        with self._open() as book:
            rows = book.execute(f"select * from entries {where} order by number", values).fetchall()  # noqa: S608
        return (Entry(*row) for row in rows)

    def newest(self, most: int, *, before: int = 0, job: str = "", what: str = "") -> list[Entry]:
        """At most so many entries, the newest first, of this job and kind if any is named. before: a number, 0 for all."""
        query = "select * from entries where (? = 0 or number < ?) and ? in ('', job) and ? in ('', what)"
        with self._open() as book:
            rows = book.execute(f"{query} order by number desc limit ?", (before, before, job, what, most)).fetchall()
        return [Entry(*row) for row in rows]

    def verify(self) -> Head:
        """The head, once every entry is found to follow from the one before. Raises DataError that names one which does not."""
        head = Head()
        for entry in self.entries():
            digest = entry.follows(head.digest)
            if entry.number != head.number + 1 or entry.head != digest:
                raise _broken(f"entry {entry.number} does not follow from the one before: the log was changed")
            head = Head(entry.number, digest)
        return head

    def verify_against(self, told: dict[int, bytes]) -> Head:
        """As `verify`, and that this log had these heads: number -> digest, as the other party was told them."""
        head, mine = self.verify(), {0: ORIGIN} | {entry.number: entry.head for entry in self.entries()}
        for number, digest in sorted(told.items()):
            if mine.get(number) != digest:
                fate = "has fewer entries" if number > head.number else "was another one"
                raise _broken(f"the other party was told a head of {number} entries, and this log {fate} by then")
        return head

    def held(self, who: str = "") -> Head:
        """The other party's head as it was told last; that of an empty log where none counts. who: of several the one meant."""
        with self._open() as book:
            return _held(_last(book, What.PEER, who))

    def books(self) -> dict[str, int]:
        """How much stood in this party's books when a job ended last; empty where none counts."""
        with self._open() as book:
            return {name: int(count) for name, count in _last(book, What.END).get("books", {}).items()}

    def check_books(self, books: Callable[[], Mapping[str, int]], command: str) -> None:
        """Raises PolicyError for a book that holds less than it did. command: of this party, for the remedy.

        books: how much stands in them, which is asked for only once it is known how much it was: another job of this party may
        end meanwhile.
        """
        was = self.books()
        now = books()
        for name, before in was.items():
            if now.get(name, 0) < before:
                raise PolicyError(
                    f"{name} holds less than it did when a job ended last: it was restored from a back-up, or deleted",
                    expected=f"at least {before}",
                    got=now.get(name, 0),
                    remedy=f"Put back the newer one. Where it is lost, `{command} audit accept` begins from what there is.",
                    public="a book of what was spent is behind what it was",
                )

    def heard(self, who: str = "") -> dict[int, bytes]:
        """The heads of the other party that this one was told, for it to be verified against: number -> digest."""
        found = (json.loads(entry.detail) for entry in self.entries() if entry.what == What.PEER)
        return {int(told["number"]): bytes.fromhex(told["head"]) for told in found if told.get("who", "") == who}


def _head(book: sqlite3.Connection) -> Head:
    found = book.execute("select number, head from entries order by number desc limit 1").fetchone()
    return Head(*found) if found else Head()


def _last(book: sqlite3.Connection, kind: What, who: str = "") -> dict[str, Any]:
    """The last entry of this kind and company, unless a person has said since that what stands now counts."""
    last = "select what, detail from entries where what in (?, ?) order by number desc"
    for what, text in book.execute(last, (kind.value, What.OVERRIDE.value)):
        detail: dict[str, Any] = json.loads(text)
        if what == kind and detail.get("who", "") == who:
            return detail
        if what != kind and detail.get("rule") == BEHIND:
            break
    return {}


def _held(detail: Mapping[str, Any]) -> Head:
    return Head(int(detail["number"]), bytes.fromhex(detail["head"])) if detail else Head()


def _broken(text: str) -> DataError:
    return DataError(
        f"audit log: {text}", public="an audit log does not verify", remedy="Find out who could write to it, and ask."
    )
