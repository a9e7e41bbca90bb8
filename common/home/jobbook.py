"""A party's book of the jobs it was offered: who asked for what, on which dataset, accepted or why not, how each ended."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from common.disk.book import add_column, open_book

_VERSION = 1
# jobs kept: whoever offers must not fill the disk, nor crowd out what was accepted
_MOST, _MOST_REFUSED = 10_000, 1_000
# seconds for which accepted ones are kept, however many: under a name that was forgotten a client would have a job more, as
# its rates count a name once a day
_KEPT = 2 * 86_400.0
_LONG = 500  # characters of a text of others
_TABLE = (
    "create table if not exists jobs (number integer primary key, job text not null, kind text not null, name text not null,"
    " client text not null, dataset text not null, plan text not null, at real not null, state text not null,"
    " ended real not null, cause text not null, counts text not null)"
)
_GRANTS = "text not null default '{}'"  # a column that a book from before there was one is given
_END = "update jobs set state = ?, ended = ?, cause = ?, counts = ? where job = ? and state in ('accepted', 'held')"
_GIVE_BACK = "update jobs set grants = '{}' where job = ? and state in ('accepted', 'held', 'failed')"
_BY_NAME = "create index if not exists by_name on jobs (job)"
_TRIM = (
    "delete from jobs where (state = 'refused') = ? and at < ? and number <= coalesce((select number from jobs"
    " where (state = 'refused') = ? order by number desc limit 1 offset ?), 0)"
)
# grants: filled in where a job is from before they were kept; else all stay, of a bank that was left out too
_AGAIN = (
    "update jobs set state = 'accepted', ended = 0, cause = '', grants = coalesce(nullif(grants, '{}'), ?, grants)"
    " where job = ? and state in ('accepted', 'failed')"
)
_ANSWER = (
    "update jobs set state = ?, cause = ?, grants = coalesce(nullif(grants, '{}'), ?, grants)"
    " where job = ? and plan = ? and state = 'held'"
)
_RAN = "select 1 from jobs where job = ? and state in ('accepted', 'done', 'failed') limit 1"
_COLUMNS = "job, kind, name, client, dataset, plan, at, state, ended, cause, counts, grants"


@dataclass(frozen=True)
class Offered:
    """One job as this party was asked for it.

    plan: its SHA-256. state: held, refused, accepted, done or failed. at, ended: seconds since 1970, 0 where it has not ended.
    cause: why it was refused or failed, as others heard it. counts: what the party counted, without any row's value.
    grants: that it rests on, as `Grants.check` says them.
    """

    job: str
    kind: str = ""
    name: str = ""
    client: str = ""
    dataset: str = ""
    plan: str = ""
    at: float = 0.0
    state: str = "accepted"
    ended: float = 0.0
    cause: str = ""
    counts: Mapping[str, int] | None = None
    grants: Mapping[str, str] | None = None


class JobBook:
    """Opening makes the file where it is new. An entry is written when a job is answered, and again when it is over."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with open_book(file, version=_VERSION) as book:
            book.execute(_TABLE)
            book.execute(_BY_NAME)
            add_column(book, "jobs", "grants", _GRANTS)

    def enter(self, offered: Offered) -> None:
        """A job that was answered; of very many, those of two days and the newest are kept, of refused ones fewer."""
        now = time.time()
        texts = (offered.job, offered.kind, offered.name, offered.client, offered.dataset, offered.plan)
        row = [*(text[:_LONG] for text in texts), offered.at or now, offered.state, 0.0, offered.cause[:_LONG], "{}"]
        row.append(_pins(offered.grants or {}))
        with open_book(self._file, version=_VERSION) as book:
            book.execute(f"insert into jobs ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
            for refused, before, most in ((False, now - _KEPT, _MOST), (True, math.inf, _MOST_REFUSED)):
                book.execute(_TRIM, (refused, before, refused, most))

    @property
    def position(self) -> int:
        """The number of the newest job, which is never left out."""
        with open_book(self._file, version=_VERSION) as book:
            return int(book.execute("select coalesce(max(number), 0) from jobs").fetchone()[0])

    def again(self, job: str, grants: Mapping[str, str] | None = None) -> bool:
        """A job that goes on has not ended; False where it is not in the book. grants: where none are entered."""
        with open_book(self._file, version=_VERSION) as book:
            return bool(book.execute(_AGAIN, (_pins(grants), job)).rowcount)

    def answer(self, offered: Offered) -> bool:
        """The answer to a job that was held; False where none of this plan is in the book."""
        row = (offered.state, offered.cause[:_LONG], _pins(offered.grants), offered.job, offered.plan)
        with open_book(self._file, version=_VERSION) as book:
            return bool(book.execute(_ANSWER, row).rowcount)

    def ran(self, job: str) -> bool:
        """Whether a job of this name was accepted, whatever became of it."""
        with open_book(self._file, version=_VERSION) as book:
            return book.execute(_RAN, (job[:_LONG],)).fetchone() is not None

    def accepted(self) -> list[str]:
        """The jobs that have not ended, oldest first."""
        with open_book(self._file, version=_VERSION) as book:
            return [job for (job,) in book.execute("select job from jobs where state = 'accepted' order by number")]

    def end(self, job: str, state: str, cause: str = "", counts: Mapping[str, int] | None = None) -> None:
        """How an accepted job ended."""
        row = (state, time.time(), cause[:_LONG], json.dumps(dict(counts or {})), job)
        with open_book(self._file, version=_VERSION) as book:
            book.execute(_END, row)

    def give_back(self, job: str) -> None:
        """A job that is over and was never begun rests on no grant: of none is it a job more."""
        with open_book(self._file, version=_VERSION) as book:
            book.execute(_GIVE_BACK, (job,))

    def jobs(self, last: int = 0, job: str = "") -> list[Offered]:
        """The newest `last` of all, or of those of one name, oldest first; 0: all that are kept."""
        with open_book(self._file, version=_VERSION) as book:
            found = book.execute(
                f"select {_COLUMNS} from jobs where ? in ('', job) order by number desc limit ?",  # noqa: S608
                (job, last or -1),
            ).fetchall()
        names = [f.name for f in fields(Offered)]
        rows = ((*row[:-2], *map(json.loads, row[-2:])) for row in reversed(found))
        return [Offered(**dict(zip(names, row, strict=True))) for row in rows]


def _pins(grants: Mapping[str, str] | None) -> str | None:
    return None if grants is None else json.dumps(dict(grants))
