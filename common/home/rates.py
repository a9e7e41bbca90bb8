"""A party's book of what each client has had lately, and of a person's word that it may have more.

A budget of rows is for all jobs together and for ever: without rates one client uses it up in a minute. What a client has
had counts for a day, whatever became of its jobs, and however the clock is set meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from common.disk.book import KeptBook, may_wait
from common.disk.elapsed import MACHINE, Elapsed, Times
from common.errors import PolicyError
from common.home.rowsets import Keys, RowSets, are_in, distinct, lacking, row_keys
from common.rows.table import FeatureTable

DAY = 86_400.0  # seconds
_FORGET = 60.0  # seconds within which what counts no longer is looked for once
_TOGETHER = 3600.0  # seconds within which charges of one model are kept as one, that counts from the last of them
_AHEAD = 3600.0  # seconds by which a clock may have been set back before the book told time by itself
_VERSION = 2
_TABLES = (
    "create table if not exists jobs (client text not null, job text not null, at real not null)",
    "create table if not exists scored (number integer primary key, client text not null, model text not null,"
    " begun real not null, at real not null, rows integer not null)",
    "create table if not exists words (client text not null, person text not null, at real not null, until real not null,"
    " jobs integer not null, rows integer not null, models integer not null)",
    "create table if not exists counted (number integer not null)",  # what was ever entered: the rest is forgotten in a day
)


class Limits(Protocol):
    """What one client may have in 24 hours; see `plan.policy.Policy`."""

    @property
    def jobs_per_day(self) -> int: ...

    @property
    def rows_per_day(self) -> int: ...

    @property
    def models_per_day(self) -> int: ...


@dataclass(frozen=True)
class Word:
    """A person's word that a client may have more than the policy's, from `at` until then, in seconds since 1970."""

    client: str
    person: str
    at: float
    until: float
    jobs: int
    rows: int
    models: int


@dataclass(frozen=True)
class Usage:
    """What a client has had in the last 24 hours, the most models of any row included, and the words that hold for it."""

    client: str
    jobs: int
    rows: int
    models: int
    words: tuple[Word, ...]


@dataclass(frozen=True, repr=False)
class Counted:
    """What a charge has entered: the number of its set, the rows that are new in it, and the number of this entry."""

    number: int
    rows: Keys
    entry: int


class Rates:
    """One SQLite file, each commit durable."""

    def __init__(self, file: Path, owner: str, times: Times = MACHINE) -> None:
        """owner: the name of this party's command, for remedies."""
        self._owner, self._clock, self._forgotten = owner, times.clock, -DAY
        self._book = KeptBook(file, version=_VERSION)
        self._read = KeptBook(file, version=_VERSION)  # of its own, so that who looks waits for no write
        with self._open() as book:
            for table in _TABLES:
                book.execute(table)
            RowSets(book).make()
            if not book.execute("select 1 from counted").fetchone():
                book.execute("insert into counted select 0 where not exists (select 1 from counted)")  # of two at once one
            self._now = Elapsed(book, times, lambda: _last(book, times.clock()))

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._book.open()

    @property
    def position(self) -> int:
        """How many entries were ever made."""
        with self._open() as book:
            return int(book.execute(_COUNTED).fetchone()[0])

    def close(self) -> None:
        self._read.close()
        self._book.close()

    def begin(self, client: str, job: str, limits: Limits, *, new: bool = False) -> None:
        """Counts a job of this client's, once. new: nobody goes on with it, so its name is another one's if it is counted.

        Raises PolicyError for one beyond its limit, or whose name is another one's.
        """
        now = self._now()
        with self._open() as book:
            book.execute("begin immediate")
            _forget(book, now)
            self._now.keep(book)
            if book.execute("select 1 from jobs where client = ? and job = ?", (client, job)).fetchone():
                if new:
                    raise PolicyError(
                        f"client {client} has had a job {job} in the last 24 hours",
                        remedy="Ask for it under a name that no job has had.",
                    )
                return
            had = [at for (at,) in book.execute("select at from jobs where client = ? order by at", (client,))]
            most = limits.jobs_per_day + sum(word.jobs for word in _words(book, self._clock(), client))
            if len(had) >= most:
                free = had[len(had) - most] if most else None
                raise self._beyond(client, "jobs", "jobs_per_day", 1, most, most - len(had), free)
            book.execute("insert into jobs values (?, ?, ?)", (client, job, now))
            book.execute(_COUNT)

    def charge(
        self, client: str, table: FeatureTable, model: str, limits: Limits, allowed: Callable[[], None] = lambda: None
    ) -> Counted:
        """Counts these rows, before `model` scores them for this client; again for the same rows and model it is free.

        allowed: called once nothing but the disk can refuse it any more; where it raises, nothing is counted.

        Raises PolicyError for more rows than it may have, or for one that too many models have scored.
        """
        with self._open() as book:
            found = self._charge(book, client, table, model, limits)
            allowed()
        return found

    def give_back(self, counted: Counted, table: FeatureTable) -> int:
        """Takes rows that came to nothing off what a charge has counted, and says how many.

        None where anything was counted since: another charge may have found them counted, and be owed for them.
        """
        with self._open() as book:
            if not book.in_transaction:
                book.execute("begin immediate")
            if book.execute(_COUNTED).fetchone()[0] != counted.entry:
                return 0
            rows = row_keys(table)
            gone = counted.rows[are_in(counted.rows, distinct(rows))]
            RowSets(book).discard(str(counted.number), gone)
            book.execute("update scored set rows = rows - ? where number = ?", (len(gone), counted.number))
            book.execute(_COUNT)
        return len(gone)

    def check(self, client: str, table: FeatureTable, models: Sequence[str], limits: Limits) -> None:
        """Raises PolicyError if `charge` would for one of these, one after another; nothing is counted."""
        if len(models) == 1:  # it takes no lock, and neither waits for a write nor makes one
            with self._read.open() as book:
                book.execute("begin")  # one moment of the book
                self._look(book, RowSets(book), client, distinct(row_keys(table)), models[0], limits, self._now())
            return
        with suppress(_Undone), self._open() as book:
            for model in models:
                self._charge(book, client, table, model, limits)
            raise _Undone

    def _charge(self, book: sqlite3.Connection, client: str, table: FeatureTable, model: str, limits: Limits) -> Counted:
        now, asked = self._now(), distinct(row_keys(table))
        if not book.in_transaction:
            book.execute("begin immediate")
        if now >= self._forgotten + _FORGET:
            _forget(book, now)
            self._now.keep(book)
            self._forgotten = now
        sets = RowSets(book)
        new, had = self._look(book, sets, client, asked, model, limits, now)
        number = self._enter(book, sets, client, model, new, now, had)
        book.execute(_COUNT)
        return Counted(number, new, book.execute(_COUNTED).fetchone()[0])

    def _look(
        self, book: sqlite3.Connection, sets: RowSets, client: str, asked: Keys, model: str, limits: Limits, now: float
    ) -> tuple[Keys, list[_Scored]]:
        """The rows that this model has not scored for the client in a day, and what counts of that day.

        Raises PolicyError.
        """
        every = book.execute(_SCORED).fetchall()
        had = [_Scored(*row) for whose, *row in every if whose == client and row[3] > now - DAY]
        for one in had:
            asked = lacking(asked, sets.held(one.owner, asked)) if one.model == model else asked
        words = _words(book, self._clock(), client)
        most = limits.rows_per_day + sum(word.rows for word in words)
        self._check_rows(client, len(asked), most, [(one.at, one.rows) for one in had])
        if len(asked):
            models = limits.models_per_day + sum(word.models for word in words)
            others = [(one.at, asked[:0] if one.model == model else sets.held(one.owner, asked)) for one in had]
            self._check_models(client, asked, models, others)
        return asked, had

    def _enter(
        self, book: sqlite3.Connection, sets: RowSets, client: str, model: str, rows: Keys, now: float, had: list[_Scored]
    ) -> int:
        """Rows asked for one by one would else each be a set of its own, and all of these be looked at for the next.

        The number of their set.
        """
        last = next((one for one in reversed(had) if one.model == model and now - _TOGETHER < one.begun <= now), None)
        if last is None:
            values = (client, model, now, now, len(rows))
            made = book.execute("insert into scored (client, model, begun, at, rows) values (?, ?, ?, ?, ?)", values).lastrowid
            assert made is not None  # noqa: S101
            number = made
        else:
            number = last.number
            book.execute("update scored set at = ?, rows = rows + ? where number = ?", (now, len(rows), number))
        sets.add(str(number), rows)
        return number

    def _check_rows(self, client: str, asked: int, most: int, had: list[tuple[float, int]]) -> None:
        used = sum(count for _, count in had)
        if not asked or asked <= most - used:  # what was had before is free, whatever the policy has become
            return
        left, free = most - used, self._now()
        for at, count in had:  # oldest first
            if asked <= most - used:
                break
            used, free = used - count, at
        raise self._beyond(
            client, "rows to be scored", "rows_per_day", asked, most, max(0, left), free if asked <= most else None
        )

    def _check_models(self, client: str, asked: Keys, most: int, had: list[tuple[float, Keys]]) -> None:
        def times(of: list[tuple[float, Keys]]) -> int:
            found = np.zeros(len(asked), np.int64)
            for _, rows in of:
                found += are_in(asked, rows)
            return int(found.max(initial=0))

        if (used := times(had)) < most or not len(asked):
            return
        gone = next((k for k in range(1, len(had) + 1) if times(had[k:]) < most), 0)
        free = had[gone - 1][0] if gone else None
        raise self._beyond(client, "models for one row", "models_per_day", 1, most, max(0, most - used), free)

    def _beyond(self, client: str, what: str, key: str, asked: int, most: int, left: int, free: float | None) -> PolicyError:
        """free: when what stands in the way was counted; None: no waiting helps."""
        option = {"jobs_per_day": "jobs", "rows_per_day": "rows", "models_per_day": "models"}[key]
        other = "take rows that are new, such as further months or enterprises, or " if key == "models_per_day" else ""
        word = f"{other}ask a person there, whose command `{self._owner} allow {client} --{option} N` lets it go beyond"
        when = "" if free is None else f"Wait until {said(self._now.clock(free + DAY))}, or "
        return PolicyError(
            f"client {client} asks for more {what} than it may have in 24 hours",
            expected=f"at most {most} ({key}), of which {left} are left",
            got=asked,
            remedy=f"{when}{word}." if when else f"{word[0].upper()}{word[1:]}, or ask for less.",
        )

    def allow(self, word: Word) -> None:
        """Enters a person's word: from now on it holds, also in a daemon that runs."""
        with self._open() as book:
            values = (word.client, word.person, word.at, word.until, word.jobs, word.rows, word.models)
            book.execute("insert into words values (?, ?, ?, ?, ?, ?, ?)", values)
            book.execute(_COUNT)

    def words(self) -> list[Word]:
        """All that was ever allowed, oldest first."""
        with self._open() as book:
            return [Word(*row) for row in book.execute("select * from words order by at")]

    def usage(self) -> list[Usage]:
        """Each client that has had something in the last 24 hours, or may have more than the policy's."""
        now = self._now()
        with self._open() as book:
            jobs = book.execute("select client, at from jobs").fetchall()
            found = book.execute("select client, number from scored where at > ?", (now - DAY,)).fetchall()
            scored = [(client, RowSets(book).every(str(number))) for client, number in found]
            words = _words(book, self._clock())
        jobs = [row for row in jobs if row[1] > now - DAY]
        clients = sorted({row[0] for row in (*jobs, *scored)} | {word.client for word in words})
        return [_usage(client, jobs, scored, words) for client in clients]


class _Undone(Exception):
    """What was only looked at is taken back."""


@dataclass(frozen=True)
class _Scored:
    """Charges of one client and model from `begun` to `at`; the rows are a set of their own."""

    number: int
    model: str
    begun: float
    at: float
    rows: int

    @property
    def owner(self) -> str:
        return str(self.number)


_COUNT, _COUNTED = "update counted set number = number + 1", "select number from counted"
_SCORED = "select client, number, model, begun, at, rows from scored order by at"


def _usage(client: str, jobs: list[tuple[str, float]], scored: list[tuple[str, Keys]], words: list[Word]) -> Usage:
    rows = [found for name, found in scored if name == client]
    every = np.concatenate([np.empty(0, np.uint64), *rows])
    models = int(np.unique(every, return_counts=True)[1].max(initial=0))
    own = tuple(word for word in words if word.client == client)
    return Usage(client, sum(name == client for name, _ in jobs), len(every), models, own)


def _last(book: sqlite3.Connection, clock: float) -> float | None:
    """The latest entry of a book of an earlier release. One of more than an hour ahead was made by a clock that was wrong."""
    entered = book.execute(
        "select max(at) from (select at from scored union all select at from jobs) where at <= ?", (clock + _AHEAD,)
    )
    found: float | None = entered.fetchone()[0]
    return found


def _words(book: sqlite3.Connection, now: float, client: str | None = None) -> list[Word]:
    """The words that hold now."""
    found = [Word(*row) for row in book.execute("select * from words where at <= ? and until > ? order by at", (now, now))]
    return [word for word in found if client in (None, word.client)]


def _forget(book: sqlite3.Connection, now: float) -> None:
    """Removes what counts no longer; people's words stay."""
    if old := book.execute("select number from scored where at <= ?", (now - DAY,)).fetchall():
        may_wait()  # a set of a million rows is three thousand leaves
    for (number,) in old:
        RowSets(book).remove(str(number))
    for table in ("jobs", "scored"):
        book.execute(f"delete from {table} where at <= ?", (now - DAY,))  # noqa: S608


def said(at: float) -> str:
    """A moment of the clock as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
