"""What a disk refuses is named, with its place, to the owner; others hear what it was and no path."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from common.disk import book as module
from common.disk.book import KeptBook, open_book
from common.disk.files import private_file
from common.disk.refused import refused

FULL = Path("/dev/full")  # of which every write ends as on a full disk


def test_a_full_disk_is_named_with_its_file_and_others_hear_no_path(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, private_file(tmp_path / "model.json"), FULL.open("wb", buffering=0) as stream:
        stream.write(b"1")
    assert caught.value.filename == str(tmp_path / "model.json") and not list(tmp_path.iterdir())
    error = refused(caught.value)
    assert error is not None
    assert str(error).startswith(f"a file cannot be written or read in {tmp_path / 'model.json'}: no space is left. Make room")
    assert error.public == "a file of its own: no space is left"


def test_a_book_on_a_full_disk_says_which(tmp_path: Path) -> None:
    book = tmp_path / "jobs.sqlite"
    with pytest.raises(OSError) as caught, open_book(book) as open_one:
        open_one.execute("pragma max_page_count = 2")
        open_one.execute("create table t (x)")
        open_one.executemany("insert into t values (?)", [("x" * 4000,)] * 9)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(book))


def test_other_errors_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError), open_book(tmp_path / "book") as book:
        book.execute("select nothing")
    assert refused(ValueError()) is None and refused(FileNotFoundError(2, "no such file")) is None


@pytest.mark.parametrize("kept", [True, False])
def test_a_book_that_another_process_holds_for_long_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    file, opening = tmp_path / "book", KeptBook(tmp_path / "book")
    with open_book(file) as one:
        one.execute("begin immediate")
        with pytest.raises(OSError, match="locked") as caught, opening.open() if kept else open_book(file) as other:
            other.execute("begin immediate")
    told = refused(caught.value)
    assert told is not None and str(file) in str(told) and "another process holds it for long" in told.public
    assert str(file) not in told.public
    opening.close()
