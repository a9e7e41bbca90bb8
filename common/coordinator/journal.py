"""Jobs that outlive the coordinator's process: one SQLite file, one row a job, written at every change of state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


class Journal:
    """Serialised jobs by name, in the order they were submitted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as book, book:
            book.execute(
                "create table if not exists jobs (number integer primary key, id text unique not null, job blob not null)"
            )

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=10.0)

    def write(self, job: str, data: bytes) -> None:
        with closing(self._open()) as book, book:
            book.execute(
                "insert into jobs (id, job) values (?, ?) on conflict (id) do update set job = excluded.job",
                (job, data),
            )

    def read(self) -> Iterator[bytes]:
        """Every job, oldest first."""
        with closing(self._open()) as book:
            yield from (row[0] for row in book.execute("select job from jobs order by number").fetchall())
