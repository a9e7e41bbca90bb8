"""A party's book of all seeds it has met, its own and the other party's, by their fingerprints: none may come again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.disk.book import open_book


class SeedBook:
    """One SQLite file, each commit durable. A fingerprint tells nothing of its seed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with open_book(file, durable=True) as book:
            book.execute("create table if not exists seen (fingerprint blob primary key) without rowid")

    @property
    def position(self) -> int:
        """How many fingerprints were entered."""
        with open_book(self._file, durable=True) as book:
            return int(book.execute("select count(*) from seen").fetchone()[0])

    def enter(self, fingerprints: Sequence[bytes]) -> bool:
        """Whether all were new; from now on none is."""
        with open_book(self._file, durable=True) as book:
            new = [book.execute("insert or ignore into seen values (?)", (mark,)).rowcount for mark in fingerprints]
        return all(new)
