"""The book of answers: a request that is repeated, also after a restart, gets the answer it had, and is not scored again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.disk.book import KeptBook

_VERSION = 1
_TABLE = """
create table if not exists answers (
    caller text not null, key text not null, asked blob not null, answer text not null, at real not null,
    primary key (caller, key)
) without rowid;
create index if not exists answers_at on answers (at);
"""


class AnotherRequest(Exception):
    """The key was used for another request."""


class AnswerBook:
    """One SQLite file, each answer durable before it is given. It holds ids and decisions: for the bank alone."""

    def __init__(self, file: Path, keep_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._kept, self._keep, self._clock = KeptBook(file, version=_VERSION), keep_seconds, clock
        with self._kept.open() as book:
            book.executescript(_TABLE)

    def find(self, caller: str, key: str, asked: bytes) -> dict[str, Any] | None:
        """The answer that this request had. Raises AnotherRequest where `key` was of one that asked something else."""
        with self._kept.open() as book:
            row = book.execute("select asked, answer, at from answers where caller = ? and key = ?", (caller, key)).fetchone()
        if row is None or row[2] <= self._clock() - self._keep:
            return None
        if row[0] != asked:
            raise AnotherRequest
        found: dict[str, Any] = json.loads(row[1])
        return found

    def keep(self, caller: str, key: str, asked: bytes, answer: dict[str, Any]) -> None:
        """Enters an answer, durably; those that are too old go."""
        now = self._clock()
        with self._kept.open() as book:
            book.execute("delete from answers where at <= ?", (now - self._keep,))
            values = (caller, key, asked, json.dumps(answer, ensure_ascii=False), now)
            book.execute("insert or replace into answers values (?, ?, ?, ?, ?)", values)

    def close(self) -> None:
        self._kept.close()


def digest(asked: dict[str, Any]) -> bytes:
    """By this a request is known again."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).digest()
