"""A party's history of scored months, in one SQLite file: `monitor.sqlite`. Counts and indices, no row."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from common.disk.book import open_book

_TABLES = """
create table if not exists readings (model text, month text, feature text, psi real, floor real, missing real, before real,
  rows integer, reference_rows integer, job text, primary key (model, month, feature));
create table if not exists scored (job text primary key, model text, file text);
create table if not exists answered (alarm text primary key, job text);
create table if not exists bins (model text, month text, feature text, bins text, primary key (model, month, feature));
create table if not exists told (alarm text primary key, at real);
create table if not exists matured (what text primary key, alarms integer);
create table if not exists looks (number integer, at real, job text, rows blob, primary key (number, job));
"""
_ENTER = """
insert into readings values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (model, month, feature) do update set
  psi = excluded.psi, floor = excluded.floor, missing = excluded.missing, before = excluded.before, rows = excluded.rows,
  reference_rows = excluded.reference_rows, job = excluded.job
  where excluded.rows >= readings.rows
"""


@dataclass(frozen=True)
class Reading:
    """One column in one month under one model. floor: what chance explains of psi; missing, before: shares, now and then.

    bins: of each bin its label, its share of rows then and its share now; none where an earlier release read it.
    """

    model: str
    month: str
    feature: str
    psi: float
    floor: float
    missing: float
    before: float
    rows: int
    reference_rows: int
    bins: tuple[tuple[str, float, float], ...] = ()


class Book:
    """A month scored again replaces what was known of it, unless it is of fewer rows: one late row is not a month."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with open_book(self._file) as book:
            book.executescript(_TABLES)

    def enter(self, job: str, readings: Iterable[Reading]) -> None:
        with open_book(self._file) as book:
            for r in readings:
                *values, bins = astuple(r)
                if book.execute(_ENTER, (*values, job)).rowcount:
                    book.execute("insert or replace into bins values (?, ?, ?, ?)", (*values[:3], json.dumps(bins)))

    def readings(self) -> list[Reading]:
        """By model and month, oldest first; jobs of rows without months behind them, in the order in which they came."""
        *names, _ = Reading.__dataclass_fields__
        with open_book(self._file) as book:
            found = book.execute(
                f"select {', '.join(names)}, coalesce(bins, '[]') from readings left join bins using (model, month, feature) "  # noqa: S608
                "order by model, case when month glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]' then month else '~' end, "
                "(select min(r.rowid) from readings r where r.month = readings.month), feature"
            )
            return [
                replace(Reading(*row), bins=tuple(tuple(one) for one in json.loads(bins))) for *row, bins in found.fetchall()
            ]

    def entered(self) -> list[str]:
        """Each month that was read, and of rows without months each job, in the order in which they came."""
        with open_book(self._file) as book:
            return [month for month, _ in book.execute("select month, min(rowid) from readings group by month order by 2")]

    def enter_scores(self, job: str, model: str, file: Path) -> None:
        """Enters the file to which the bank wrote the scores of a job."""
        with open_book(self._file) as book:
            book.execute("insert or replace into scored values (?, ?, ?)", (job, model, file.name))

    def forget(self, job: str) -> None:
        """The scores of this job are gone."""
        with open_book(self._file) as book:
            book.execute("delete from scored where job = ?", (job,))

    def scored(self) -> list[tuple[str, str, str]]:
        """(job, model, name of the file) in the order of writing."""
        with open_book(self._file) as book:
            return list(book.execute("select job, model, file from scored order by rowid"))

    def look(self, rows: Mapping[str, bytes]) -> int:
        """Enters which rows of the files of which jobs had been decided when a report was made; the number of that look.

        rows: as `looked` gives them back. What the last look at these jobs found too keeps its number.
        """
        with open_book(self._file) as book:
            book.execute("begin immediate")  # two reports at once are two looks
            (last,) = book.execute("select coalesce(max(number), 0) from looks").fetchone()
            (same,) = book.execute("select max(number) from looks where job = ?", (min(rows),)).fetchone()
            if same is not None and _rows(book, same) == rows:
                return int(same)
            book.executemany("insert into looks values (?, ?, ?, ?)", [(last + 1, time.time(), *one) for one in rows.items()])
            return int(last) + 1

    def looked(self, number: int) -> dict[str, bytes]:
        """By job the rows of a look; none where there was none of this number."""
        with open_book(self._file) as book:
            return _rows(book, number)

    def answered(self) -> set[str]:
        """Alarms for which a retraining was submitted."""
        with open_book(self._file) as book:
            return {alarm for (alarm,) in book.execute("select alarm from answered")}

    def told(self) -> set[str]:
        """Alarms of which a command was told."""
        with open_book(self._file) as book:
            return {alarm for (alarm,) in book.execute("select alarm from told")}

    def tell(self, alarms: Iterable[str]) -> None:
        """Enters that a command was told of these."""
        with open_book(self._file) as book:
            book.executemany("insert or ignore into told values (?, ?)", [(alarm, time.time()) for alarm in alarms])

    def mature(self, alarms: Mapping[str, int]) -> None:
        """Enters how many alarms of each kind the newest month has whose outcomes are known: what metrics tell of it."""
        with open_book(self._file) as book:
            book.executemany("insert or replace into matured values (?, ?)", alarms.items())

    def matured(self) -> dict[str, int]:
        """By kind, as it was entered last."""
        with open_book(self._file) as book:
            return dict(book.execute("select what, alarms from matured").fetchall())

    def answer(self, alarms: Iterable[str], job: str) -> None:
        with open_book(self._file) as book:
            book.executemany("insert or ignore into answered values (?, ?)", [(alarm, job) for alarm in alarms])


def _rows(book: sqlite3.Connection, number: int) -> dict[str, bytes]:
    return dict(book.execute("select job, rows from looks where number = ?", (number,)).fetchall())
