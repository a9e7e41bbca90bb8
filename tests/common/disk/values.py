"""SQLite as it is with values much shorter than those that it takes: what a book of 10^8 rows meets, of few."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from common.disk import blobs

LONGEST = 100_000  # bytes of a value or row


def shorten(monkeypatch: pytest.MonkeyPatch, most: int = 30_004) -> None:
    """Every book opened from here on refuses longer values. most: what a piece of a blob has."""
    connect = sqlite3.connect

    def short(*args: Any, **named: Any) -> sqlite3.Connection:
        book = connect(*args, **named)
        book.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        return book

    monkeypatch.setattr(sqlite3, "connect", short)
    monkeypatch.setattr(blobs, "_MOST", most)
