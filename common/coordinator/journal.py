"""Jobs that outlive the coordinator's process: one SQLite file, one row a job, written at every change of state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from common.disk.book import open_book

Ended = tuple[str, str, str]
"""How a job ended: its kind, its state, the kind of its fault or "" without one."""


class Journal:
    """Serialised jobs by name, in the order they were submitted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with open_book(file) as book:
            book.execute(
                "create table if not exists jobs (number integer primary key, id text unique not null, job blob not null)"
            )
            book.execute(
                "create table if not exists forgotten (kind text, state text, error text, jobs integer not null,"
                " primary key (kind, state, error))"
            )

    def write(self, job: str, data: bytes) -> None:
        with open_book(self._file) as book:
            book.execute(
                "insert into jobs (id, job) values (?, ?) on conflict (id) do update set job = excluded.job",
                (job, data),
            )

    def forget(self, jobs: Mapping[str, Ended]) -> None:
        """Removes these jobs, each with how it ended, which is counted."""
        with open_book(self._file) as book:
            book.executemany("delete from jobs where id = ?", [(job,) for job in jobs])
            book.executemany(
                "insert into forgotten values (?, ?, ?, ?) on conflict do update set jobs = jobs + excluded.jobs",
                [(*ended, count) for ended, count in Counter(jobs.values()).items()],
            )

    def forgotten(self) -> Counter[Ended]:
        """How many jobs were removed, by how they ended."""
        with open_book(self._file) as book:
            found = book.execute("select kind, state, error, jobs from forgotten").fetchall()
        return Counter({(kind, state, error): count for kind, state, error, count in found})

    def read(self) -> Iterator[bytes]:
        """Every job, oldest first."""
        with open_book(self._file) as book:
            yield from (row[0] for row in book.execute("select job from jobs order by number").fetchall())
