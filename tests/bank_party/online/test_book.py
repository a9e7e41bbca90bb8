"""The book of answers: the same again for the same key and request, of its caller alone, for as long as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bank_party.online.book import AnotherRequest, AnswerBook, digest

ASKED, OTHER = digest({"id": "A"}), digest({"id": "B"})


def test_an_answer_is_there_again_also_in_another_process(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / "answers.sqlite", 100.0)
    assert book.find("desk", "1", ASKED) is None
    book.keep("desk", "1", ASKED, {"grade": "甲"})
    assert AnswerBook(tmp_path / "answers.sqlite", 100.0).find("desk", "1", ASKED) == {"grade": "甲"}
    assert book.find("another", "1", ASKED) is None and book.find("desk", "2", ASKED) is None
    with pytest.raises(AnotherRequest):
        book.find("desk", "1", OTHER)
    assert (tmp_path / "answers.sqlite").stat().st_mode & 0o077 == 0
    book.close()


def test_answers_that_are_too_old_are_gone(tmp_path: Path) -> None:
    now = 1000.0
    book = AnswerBook(tmp_path / "answers.sqlite", 100.0, clock=lambda: now)
    book.keep("desk", "1", ASKED, {"id": "A"})
    now += 99.0
    assert book.find("desk", "1", ASKED) == {"id": "A"}
    now += 1.0
    assert book.find("desk", "1", OTHER) is None  # the key is free again
    book.keep("desk", "2", OTHER, {})
    book.close()
    assert b'"A"' not in (tmp_path / "answers.sqlite").read_bytes()
