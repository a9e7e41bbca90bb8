"""Blobs written and read by pieces are what SQLite has of them as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from common.disk import blobs
from common.disk.blobs import first_bytes, length_of, make_more, read_words, write_blob


@pytest.mark.parametrize("most", [60, 64, 1 << 20])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 15, 16, 17, 1000])
def test_a_blob_is_its_arrays_one_behind_the_other(count: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_PIECE", 24)
    monkeypatch.setattr(blobs, "_MOST", most)
    values = np.arange(count, dtype=np.uint64) ** 3
    with closing(sqlite3.connect(":memory:")) as book:
        book.execute("create table t (a text, b blob)")
        make_more(book, "t")
        for _ in range(2):  # of two rows, each has its own
            new = "insert into t values ('x', zeroblob(?))"
            row = book.execute(new, (first_bytes(values.nbytes),)).lastrowid or 0
            write_blob(book, "t", "b", row, values.nbytes, [values[: count // 3], values[count // 3 :]])
        ((first,),) = book.execute("select b from t where rowid = ?", (row,)).fetchall()
        more = book.execute("select bytes from t_more where place = ? order by number", (row,)).fetchall()
        assert first + b"".join(part for (part,) in more) == values.tobytes()
        assert all(len(part) <= most for part in [first, *(part for (part,) in more)])
        np.testing.assert_array_equal(read_words(book, "t", "b", row), values)
        lengths = book.execute(f"select {length_of('t', 'b')} from t").fetchall()
        assert lengths == [(values.nbytes,)] * 2


@pytest.mark.parametrize("most", [12, 1 << 20])
def test_more_or_fewer_than_there_is_room_for_is_refused(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_MOST", most)
    for count, said in ((4, "data longer"), (2, "data shorter")):
        with closing(sqlite3.connect(":memory:")) as book:
            book.execute("create table t (b blob)")
            make_more(book, "t")
            row = book.execute("insert into t values (zeroblob(?))", (first_bytes(24),)).lastrowid or 0
            with pytest.raises(ValueError, match=said):
                write_blob(book, "t", "b", row, 24, [np.zeros(count, np.uint64)])


def test_no_value_comes_near_to_what_sqlite_holds_and_none_is_whole_words() -> None:
    """An earlier release, which reads the first value alone, refuses it: it reads whole words."""
    with closing(sqlite3.connect(":memory:")) as book:
        assert book.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) > blobs._MOST + (1 << 20)
    assert blobs._MOST % 8
