"""Blobs written and read by pieces are what SQLite has of them as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from common.disk import blobs
from common.disk.blobs import read_words, write_blob


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_blob_is_its_arrays_one_behind_the_other(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_PIECE", 64)
    values = np.arange(count, dtype=np.uint64) ** 3
    with closing(sqlite3.connect(":memory:")) as book:
        book.execute("create table t (a text, b blob)")
        row = book.execute("insert into t values ('x', zeroblob(?))", (values.nbytes,)).lastrowid or 0
        write_blob(book, "t", "b", row, [values[: count // 3], values[count // 3 :]])
        ((whole,),) = book.execute("select b from t").fetchall()
        assert whole == values.tobytes()
        np.testing.assert_array_equal(read_words(book, "t", "b", row), values)


def test_more_than_there_is_room_for_is_refused() -> None:
    with closing(sqlite3.connect(":memory:")) as book:
        book.execute("create table t (b blob)")
        row = book.execute("insert into t values (zeroblob(8))").lastrowid or 0
        with pytest.raises(ValueError, match="data longer"):
            write_blob(book, "t", "b", row, [np.zeros(2, np.uint64)])
