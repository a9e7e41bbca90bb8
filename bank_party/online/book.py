"""The book of answers: a request that is repeated, also after a restart, gets the answer it had, and is not scored again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common.disk.book import KeptBook, committed_aside, may_wait
from common.disk.elapsed import MACHINE, Elapsed, Times

VERSION = 1
_FORGET = 60.0  # seconds within which answers that are too old are looked for once: they are given to nobody meanwhile
_FEW = 32  # rows, or answers that are too old: a millisecond of the loop
_TABLE = """
create table if not exists answers (
    caller text not null, key text not null, asked blob not null, answer text not null, at real not null,
    primary key (caller, key)
) without rowid;
create index if not exists answers_at on answers (at);
"""


written = json.JSONEncoder(ensure_ascii=False).encode  # an answer as text; json.dumps makes an encoder each time
_sorted = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


class AnotherRequest(Exception):
    """The key was used for another request."""


@dataclass(frozen=True, repr=False)
class Entry:
    """An answer, and the request that it answers."""

    caller: str
    key: str
    asked: bytes
    answer: dict[str, Any]

    @property
    def rows(self) -> int:
        """How many it is about."""
        return len(self.answer.get("results", ()))


class AnswerBook:
    """One SQLite file, each answer durable before it is given. It holds ids and decisions: for the bank alone.

    now: the time as it counts it, seconds since 1970: by a clock that was set no answer is older than it is, nor scored again.
    """

    def __init__(self, file: Path, keep_seconds: float, times: Times = MACHINE) -> None:
        self._kept, self._keep = KeptBook(file, version=VERSION), keep_seconds
        self._read = KeptBook(file, version=VERSION)  # of its own, so that who looks waits for no write
        with self._kept.open() as book:
            book.executescript(_TABLE)
            self.now = Elapsed(book, times)
        self._forgotten = -_FORGET
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    def find(self, caller: str, key: str, asked: bytes) -> dict[str, Any] | None:
        """The answer that this request had. Raises AnotherRequest where `key` was of one that asked something else."""
        with self._read.open() as book:
            row = book.execute("select asked, answer, at from answers where caller = ? and key = ?", (caller, key)).fetchone()
        if row is None or row[2] <= self.now() - self._keep:
            return None
        if row[0] != asked:
            raise AnotherRequest
        found: dict[str, Any] = json.loads(row[1])
        return found

    async def keep(self, entry: Entry) -> None:
        """Enters an answer, durably. Those that come while others are on their way to the disk go there together."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    entries = [entry for entry, _ in group]
                    await committed_aside(partial(self.enter, entries), few=sum(entry.rows for entry in entries) <= _FEW)
                except BaseException as error:
                    _settle(group, error)
                    if isinstance(error, asyncio.CancelledError):
                        raise
                else:
                    _settle(group, None)
        finally:
            self._writing = None

    def enter(self, entries: Sequence[Entry]) -> None:
        """Enters answers, all or none; those that are too old go."""
        now = self.now()
        rows = [(one.caller, one.key, one.asked, written(one.answer), now) for one in entries]
        with self._kept.open() as book:
            if now >= self._forgotten + _FORGET:
                if (
                    len(book.execute("select 1 from answers where at <= ? limit ?", (now - self._keep, _FEW)).fetchall())
                    == _FEW
                ):
                    may_wait()
                book.execute("delete from answers where at <= ?", (now - self._keep,))
                self.now.keep(book)
                self._forgotten = now
            book.executemany("insert or replace into answers values (?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        self._read.close()
        self._kept.close()


def _settle(group: Sequence[tuple[Entry, asyncio.Future[None]]], error: BaseException | None) -> None:
    for _, done in group:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)


def digest(asked: dict[str, Any]) -> bytes:
    """By this a request is known again."""
    return hashlib.sha256(_sorted(asked).encode()).digest()
