"""The book of answers: the same again for the same key and request, of its caller alone, for as long as it says."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bank_party.online.book import AnotherRequest, AnswerBook, Entry, digest
from common.disk.book import may_wait
from common.disk.elapsed import Times

ASKED, OTHER = digest({"id": "A"}), digest({"id": "B"})


def test_an_answer_is_there_again_also_in_another_process(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / "answers.sqlite", 100.0)
    assert book.find("desk", "1", ASKED) is None
    book.enter([Entry("desk", "1", ASKED, {"grade": "甲"})])
    assert AnswerBook(tmp_path / "answers.sqlite", 100.0).find("desk", "1", ASKED) == {"grade": "甲"}
    assert book.find("another", "1", ASKED) is None and book.find("desk", "2", ASKED) is None
    with pytest.raises(AnotherRequest):
        book.find("desk", "1", OTHER)
    assert (tmp_path / "answers.sqlite").stat().st_mode & 0o077 == 0
    book.close()


def test_answers_that_are_too_old_are_gone(tmp_path: Path) -> None:
    now = 1000.0
    book = AnswerBook(tmp_path / "answers.sqlite", 100.0, Times(lambda: now, lambda: ("start", now)))
    book.enter([Entry("desk", "1", ASKED, {"id": "A"})])
    now += 99.0
    assert book.find("desk", "1", ASKED) == {"id": "A"}
    now += 1.0
    assert book.find("desk", "1", OTHER) is None  # the key is free again
    book.enter([Entry("desk", "2", OTHER, {})])
    book.close()
    assert b'"A"' not in (tmp_path / "answers.sqlite").read_bytes()


@pytest.mark.parametrize("wrong", [4e7, -4e7])
def test_a_clock_that_is_set_makes_no_answer_older_than_it_is(tmp_path: Path, wrong: float) -> None:
    """Forward by a year it let all answers go: requests that were repeated were scored again, and charged."""
    now, set_ = 1e9, 0.0

    def opened() -> AnswerBook:
        return AnswerBook(tmp_path / "answers.sqlite", 100.0, Times(lambda: now + set_, lambda: ("start", now)))

    book = opened()
    book.enter([Entry("desk", "1", ASKED, {"id": "A"})])
    now, set_ = now + 70.0, wrong
    book.enter([Entry("desk", "2", ASKED, {"id": "B"})])
    assert book.find("desk", "1", ASKED) == {"id": "A"}
    book.close()
    book = opened()  # as a daemon that starts anew
    book.enter([Entry("desk", "3", ASKED, {})])
    set_ = 0.0
    assert book.find("desk", "1", ASKED) == {"id": "A"} and book.find("desk", "2", ASKED) == {"id": "B"}
    now += 31.0
    assert book.find("desk", "1", ASKED) is None and book.find("desk", "2", ASKED) == {"id": "B"}
    now += 70.0
    assert book.find("desk", "2", ASKED) is None
    book.close()


def test_answers_that_are_too_old_are_given_to_nobody_in_the_minute_in_which_none_is_looked_for(tmp_path: Path) -> None:
    now = 1000.0
    book = AnswerBook(tmp_path / "answers.sqlite", 100.0, Times(lambda: now, lambda: ("start", now)))

    def stands() -> bool:
        with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as other:
            return bool(other.execute("select 1 from answers where key = '1'").fetchone())

    for later, key in ((0.0, "1"), (90.0, "2"), (15.0, "3")):
        now += later
        book.enter([Entry("desk", key, ASKED, {"id": key})])
    assert stands() and book.find("desk", "1", ASKED) is None and book.find("desk", "2", ASKED) == {"id": "2"}
    now = 1150.0
    book.enter([Entry("desk", "4", ASKED, {})])
    assert not stands()
    book.close()


class Slow(AnswerBook):
    """A book whose disk takes until it may."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, 100.0)
        self.groups: list[list[str]] = []
        self.may, self.full = threading.Event(), False

    def enter(self, entries: Sequence[Entry]) -> None:
        if not self.may.is_set():
            may_wait()  # as where another process writes
        self.groups.append([one.key for one in entries])
        self.may.wait(30)
        if self.full:
            raise OSError("no room")
        super().enter(entries)


async def test_answers_that_come_while_others_are_written_are_written_together_and_known_only_then(tmp_path: Path) -> None:
    book = Slow(tmp_path / "answers.sqlite")
    kept = [asyncio.create_task(book.keep(Entry("desk", str(k), ASKED, {"k": k}))) for k in range(4)]
    await asyncio.sleep(0)
    first = kept.pop(0)
    while not book.groups:
        await asyncio.sleep(0.001)
    late = asyncio.create_task(book.keep(Entry("desk", "late", ASKED, {})))
    await asyncio.sleep(0)
    assert not first.done() and book.find("desk", "0", ASKED) is None  # who looks waits for no write
    book.may.set()
    await asyncio.gather(first, *kept, late)
    assert book.groups == [["0", "1", "2", "3"], ["late"]]
    assert all(book.find("desk", str(k), ASKED) == {"k": k} for k in range(4))
    book.close()


async def test_a_disk_that_refuses_is_told_to_all_whose_answers_it_refused_and_the_next_is_tried(tmp_path: Path) -> None:
    book = Slow(tmp_path / "answers.sqlite")
    book.may.set()
    book.full = True
    for one in await asyncio.gather(*(book.keep(Entry("desk", str(k), ASKED, {})) for k in range(3)), return_exceptions=True):
        assert isinstance(one, OSError)
    book.full = False
    await book.keep(Entry("desk", "0", ASKED, {"id": "A"}))
    assert book.find("desk", "0", ASKED) == {"id": "A"} and book.find("desk", "1", ASKED) is None
    book.close()
