"""Jobs that outlive the coordinator's process: one SQLite file, one row a job, written at every change of state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from common.disk.book import open_book


class Journal:
    """Serialised jobs by name, in the order they were submitted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with open_book(file) as book:
            book.execute(
                "create table if not exists jobs (number integer primary key, id text unique not null, job blob not null)"
            )

    def write(self, job: str, data: bytes) -> None:
        with open_book(self._file) as book:
            book.execute(
                "insert into jobs (id, job) values (?, ?) on conflict (id) do update set job = excluded.job",
                (job, data),
            )

    def forget(self, jobs: Sequence[str]) -> None:
        with open_book(self._file) as book:
            book.executemany("delete from jobs where id = ?", [(job,) for job in jobs])

    def read(self) -> Iterator[bytes]:
        """Every job, oldest first."""
        with open_book(self._file) as book:
            yield from (row[0] for row in book.execute("select job from jobs order by number").fetchall())
