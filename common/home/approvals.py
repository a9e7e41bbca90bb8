"""A party's book of the jobs that it holds until people of it say that they may run, and of what these said."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from common.disk.book import open_book
from common.errors import JobNotFound, JobStateError

_VERSION = 1
DAY = 86_400.0  # seconds
PIPELINE = "pipeline"  # the kind of what waits here for a pipeline of this party, as which no job is offered
_TABLES = (
    "create table if not exists held (job text primary key, kind text not null, name text not null, client text not null,"
    " digest text not null, plan text not null, at real not null)",
    "create table if not exists pinned (job text primary key, grants text not null)",
    "create table if not exists words (number integer primary key, job text not null, digest text not null,"
    " person text not null, at real not null, yes integer not null, note text not null)",
)
_HELD = "select held.*, coalesce(grants, 'null') from held left join pinned using (job) order by at, job"
_PIN = "insert or replace into pinned values (?, ?)"


class Verdict(Enum):
    WAITS = "waits"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True)
class HeldJob:
    """A job that waits: its canonical plan and the SHA-256 of it, who asked for it, since when; seconds since 1970.

    grants: that it rests on, as `Grants.check` says them; None of a job from before they were kept.
    """

    job: str
    kind: str
    name: str
    client: str
    digest: str
    plan: str
    at: float
    grants: Mapping[str, str] | None = None

    @property
    def own(self) -> bool:
        """Whether it is this party's own, of which no coordinator knows."""
        return self.kind == PIPELINE


@dataclass(frozen=True)
class Word:
    """What a person said of a job, and of no other plan under its name. note: of a denial, told to who asked for the job."""

    job: str
    digest: str
    person: str
    at: float
    yes: bool
    note: str = ""


@dataclass(frozen=True)
class Ruling:
    """Where a job stands: what it is by now, and what was said of it, oldest first."""

    verdict: Verdict
    words: tuple[Word, ...]

    @property
    def approvers(self) -> list[str]:
        return [word.person for word in self.words if word.yes]


class Approvals:
    """One SQLite file, each entry durable. clock: seconds since 1970."""

    def __init__(self, file: Path, needed: int, days: float, clock: Callable[[], float] = time.time) -> None:
        """needed: how many different people; days: in which they have to say so."""
        self._file, self._needed, self._days, self._clock = file, needed, days, clock
        with self._open() as book:
            for table in _TABLES:
                book.execute(table)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    @property
    def position(self) -> int:
        """How much was ever said."""
        with self._open() as book:
            return int(book.execute("select coalesce(max(number), 0) from words").fetchone()[0])

    def hold(
        self, job: str, kind: str, name: str, client: str, digest: str, plan: str, grants: Mapping[str, str] | None = None
    ) -> None:
        """Enters a job that waits from now on; one that waits already does so since then."""
        row = (job, kind, name, client, digest, plan, self._clock())
        with self._open() as book:
            if book.execute("insert or ignore into held values (?, ?, ?, ?, ?, ?, ?)", row).rowcount:
                book.execute(_PIN, (job, json.dumps(dict(grants or {}))))

    def pin(self, job: str, grants: Mapping[str, str]) -> None:
        """Enters on which grants a held job rests from now on."""
        with self._open() as book:
            book.execute(_PIN, (job, json.dumps(dict(grants))))

    def held(self) -> list[HeldJob]:
        """The jobs that wait, those that were decided and are not offered again yet too; oldest first."""
        with self._open() as book:
            return [HeldJob(*(*row[:-1], json.loads(row[-1]))) for row in book.execute(_HELD)]

    def find(self, job: str) -> HeldJob:
        """Raises JobNotFound for one that is not held."""
        found = next((one for one in self.held() if one.job == job), None)
        if found is None:
            raise JobNotFound(f"no job {job!r} is held here", remedy="Without a job, the command lists those that are.")
        return found

    def ruling(self, held: HeldJob) -> Ruling:
        with self._open() as book:
            words = _words(book, held)
        return Ruling(self._verdict(held, words), words)

    def words(self) -> list[Word]:
        """All that was ever said, oldest first."""
        with self._open() as book:
            return [_word(row) for row in book.execute("select * from words order by number")]

    def decided(self) -> list[HeldJob]:
        """The held jobs about which nobody has to say any more."""
        return [held for held in self.held() if self.ruling(held).verdict is not Verdict.WAITS]

    def say(self, job: str, digest: str, person: str, *, yes: bool, note: str = "") -> Ruling:
        """Enters a person's word of the plan that they were shown; what follows from it.

        Raises JobNotFound, also once another plan has come under the job's name, and JobStateError for a word too many.
        """
        held = self.find(job)
        if held.digest != digest:
            raise JobNotFound(f"job {job!r} is held with another plan by now", remedy="Look at it again.")
        word = Word(job, held.digest, person, self._clock(), yes, note)
        with self._open() as book:
            book.execute("begin immediate")  # two people at once are two words, and one of them twice is one
            before = _words(book, held)
            if (verdict := self._verdict(held, before)) is not Verdict.WAITS:
                raise JobStateError(f"job {job} is {verdict.value} already", job=job)
            if yes and any(said.person == person for said in before):
                raise JobStateError(
                    f"{person} has approved job {job} already",
                    job=job,
                    remedy=f"{self._needed} different people have to, each by an account of their own.",
                )
            values = (word.job, word.digest, word.person, word.at, word.yes, word.note)
            book.execute("insert into words (job, digest, person, at, yes, note) values (?, ?, ?, ?, ?, ?)", values)
            words = _words(book, held)
        return Ruling(self._verdict(held, words), words)

    def forget(self, job: str) -> bool:
        """The job waits no longer; what was said of it stays. Whether it did wait."""
        with self._open() as book:
            book.execute("delete from pinned where job = ?", (job,))
            return bool(book.execute("delete from held where job = ?", (job,)).rowcount)

    def _verdict(self, held: HeldJob, words: tuple[Word, ...]) -> Verdict:
        if any(not word.yes for word in words):
            return Verdict.DENIED
        if len({word.person for word in words}) >= self._needed:
            return Verdict.APPROVED
        return Verdict.EXPIRED if self._clock() - held.at > self._days * DAY else Verdict.WAITS


def _words(book: sqlite3.Connection, held: HeldJob) -> tuple[Word, ...]:
    found = book.execute("select * from words where job = ? and digest = ? order by number", (held.job, held.digest))
    return tuple(_word(row) for row in found)


def _word(row: tuple[int, str, str, str, float, int, str]) -> Word:
    _, job, digest, person, at, yes, note = row
    return Word(job, digest, person, at, bool(yes), note)
