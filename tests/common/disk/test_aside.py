"""Books that are written in the event loop and committed beside it: durable before anybody goes on, nothing half kept."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from common.disk.book import _JOINTS, KeptBook, committed_aside, may_wait, once_committed
from common.errors import PolicyError


async def aside(file: Path, said: list[str], *, few: bool = True) -> int:
    """Writes a row to a kept book that is open, and says in which thread; how many rows there are then."""
    kept = KeptBook(file)
    try:
        with kept.open() as book:
            book.execute("create table if not exists rows (row integer)")
        return await committed_aside(partial(_row, kept, said), few=few)
    finally:
        kept.close()


def _row(kept: KeptBook, said: list[str]) -> int:
    said.append(threading.current_thread().name)
    with kept.open() as book:
        book.execute("begin immediate")
        book.execute("insert into rows values (1)")
        once_committed(lambda: said.append("kept"))
        return int(book.execute("select count(*) from rows").fetchone()[0])


def count_of(file: Path) -> int:
    with closing(sqlite3.connect(file)) as book:
        return int(book.execute("select count(*) from rows").fetchone()[0])


async def test_what_is_little_is_written_in_the_loop_and_waits_for_the_disk_in_a_thread(tmp_path: Path) -> None:
    file, said = tmp_path / "a.sqlite", list[str]()
    assert await aside(file, said) == 1 and said == [threading.current_thread().name, "kept"]
    assert await aside(file, said, few=False) == 2 and said[2] != threading.current_thread().name
    assert count_of(file) == 2


@pytest.mark.parametrize("by", ["another process", "another thread", "itself"])
async def test_what_would_wait_in_the_loop_is_undone_and_waits_in_a_thread(tmp_path: Path, by: str) -> None:
    file, said = tmp_path / "a.sqlite", list[str]()
    kept = KeptBook(file)
    with kept.open() as book:
        book.execute("create table rows (row integer)")

    def work() -> int:
        found = _row(kept, said)
        if by == "itself":
            may_wait()
        return found

    loop, other = threading.current_thread().name, sqlite3.connect(file)
    if by == "another process":
        other.execute("begin immediate")
    elif by == "another thread":
        kept._lock.acquire()
    writing = asyncio.create_task(committed_aside(work, few=True))
    while len(said) < 2:  # it has begun in the loop, and again in a thread, where it waits for who holds the book
        await asyncio.sleep(0.01)
    assert said[0] == loop and said[1] != loop
    if by == "another process":
        other.rollback()
    elif by == "another thread":
        kept._lock.release()
    assert await writing == 1 and said[2:] == ["kept"] and count_of(file) == 1
    assert await committed_aside(partial(_row, kept, said), few=True) == 2 and said[3] == loop  # as patient as before
    with kept.open() as book:
        assert book.execute("pragma busy_timeout").fetchone() == (30_000,)
    other.close()
    kept.close()


async def test_what_was_written_in_the_loop_is_committed_though_nobody_waits_for_it(tmp_path: Path) -> None:
    said, kept, full = list[str](), KeptBook(tmp_path / "a.sqlite"), threading.Event()
    with kept.open() as book:
        book.execute("create table rows (row integer)")
    busy = [_JOINTS.submit(full.wait) for _ in range(4)]  # so that the commit has not begun
    writing = asyncio.create_task(committed_aside(partial(_row, kept, said), few=True))
    while not said:
        await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert said == [threading.current_thread().name] and count_of(tmp_path / "a.sqlite") == 0
    full.set()
    with kept.open() as book:  # which waits until it is committed
        assert book.execute("select count(*) from rows").fetchone() == (1,)
    assert [one.result() for one in busy] == [True] * 4 and said[1:] == ["kept"]
    kept.close()


async def test_what_raises_in_the_loop_is_not_kept_and_holds_nothing(tmp_path: Path) -> None:
    said, kept = list[str](), KeptBook(tmp_path / "a.sqlite")
    with kept.open() as book:
        book.execute("create table rows (row integer)")

    def work() -> None:
        _row(kept, said)
        raise PolicyError("no more than that")

    with pytest.raises(PolicyError):
        await committed_aside(work, few=True)
    assert said == [threading.current_thread().name] and count_of(tmp_path / "a.sqlite") == 0
    assert await committed_aside(partial(_row, kept, said), few=True) == 1
    kept.close()


@pytest.mark.parametrize("few", [True, False])
async def test_what_the_disk_refuses_as_it_is_committed_is_told_and_not_kept(
    tmp_path: Path, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, kept = list[str](), KeptBook(tmp_path / "a.sqlite")
    with kept.open() as book:
        book.execute("create table rows (row integer)")

    def full(self: KeptBook, book: sqlite3.Connection) -> None:
        book.rollback()
        raise OSError(errno.ENOSPC, "no space left", str(self._file))

    with monkeypatch.context() as patch:
        patch.setattr(KeptBook, "commit", full)
        with pytest.raises(OSError, match="no space left"):
            await committed_aside(partial(_row, kept, said), few=few)
    assert len(said) == 1 and count_of(tmp_path / "a.sqlite") == 0
    assert await committed_aside(partial(_row, kept, said), few=few) == 1 and said[2:] == ["kept"]
    kept.close()
