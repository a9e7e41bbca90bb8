"""Large blobs of a book, written and read a piece after the other: as a whole SQLite would hold several copies of each.

SQLite keeps no value or row of more than 10^9 bytes. What is longer goes on in a table beside it, `TABLE_more`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

_PIECE = 1 << 20  # bytes
_MOST = (1 << 29) - 4  # bytes in one value; no whole words: a release that knows of no others must not take the first for all
_MORE = (
    "create table if not exists {0}_more (place integer not null, number integer not null, bytes blob not null,"
    " primary key (place, number))"
)
_BEYOND = "select rowid from {0}_more where place = ? order by number"

Words = npt.NDArray[np.uint64]


def make_more(book: sqlite3.Connection, table: str) -> None:
    """Makes the table beside `table`, where it is new."""
    book.execute(_MORE.format(table))


def first_bytes(size: int) -> int:
    """How many bytes zeroblob is to make in the row itself, for a blob of `size`."""
    return min(size, _MOST)


def length_of(table: str, column: str) -> str:
    """SQL of a blob's bytes, in a query of its table."""
    beyond = f"select sum(length(bytes)) from {table}_more where place = {table}.rowid"  # noqa: S608 - both are constants
    return f"(length({table}.{column}) + coalesce(({beyond}), 0))"


def write_blob(
    book: sqlite3.Connection, table: str, column: str, row: int, size: int, arrays: Iterable[npt.NDArray[Any]]
) -> None:
    """Writes these arrays, `size` bytes in all, one behind the other, as the blob of a row. row: its rowid.

    The row has been made with zeroblob(first_bytes(size)). Raises ValueError for more bytes, and for fewer.
    """
    for number, low in enumerate(range(_MOST, size, _MOST)):
        made = f"insert into {table}_more values (?, ?, zeroblob(?))"  # noqa: S608
        book.execute(made, (row, number, first_bytes(size - low)))
    with ExitStack() as opened:
        blobs = [opened.enter_context(blob) for blob in _opened(book, table, column, row, readonly=False)]
        at = 0
        for array in arrays:
            left = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            while len(left):
                blob = blobs[at]
                if not (room := len(blob) - blob.tell()) and at + 1 < len(blobs):
                    at += 1
                    continue
                part = left[:room] if at + 1 < len(blobs) else left  # beyond the last one there is no room
                blob.write(part)
                left = left[len(part) :]
        if any(blob.tell() != len(blob) for blob in blobs):
            raise ValueError("data shorter than the blob")


def read_words(book: sqlite3.Connection, table: str, column: str, row: int) -> Words:
    """The blob as uint64 (n,)."""
    with ExitStack() as opened:
        blobs = [opened.enter_context(blob) for blob in _opened(book, table, column, row, readonly=True)]
        found = np.empty(sum(map(len, blobs)) // 8, np.uint64)
        into, at = found.view(np.uint8), 0
        for blob in blobs:
            while part := blob.read(_PIECE):
                into[at : at + len(part)] = np.frombuffer(part, np.uint8)
                at += len(part)
    return found


def read_rows(book: sqlite3.Connection, table: str, column: str, row: int, width: int) -> Generator[Words, None, None]:
    """The blob as uint64 (n, width), some rows after the other. To be closed where it is not read to its end."""
    left = b""
    with ExitStack() as opened:
        for blob in [opened.enter_context(blob) for blob in _opened(book, table, column, row, readonly=True)]:
            while part := left + blob.read(_PIECE):
                whole = len(part) // (8 * width) * 8 * width
                if len(part) == len(left):  # of this value there is no more
                    break
                left = part[whole:]
                yield np.frombuffer(part[:whole], np.uint64).reshape(-1, width)


def _opened(book: sqlite3.Connection, table: str, column: str, row: int, *, readonly: bool) -> Iterator[sqlite3.Blob]:
    yield book.blobopen(table, column, row, readonly=readonly)
    for (place,) in book.execute(_BEYOND.format(table), (row,)).fetchall():
        yield book.blobopen(f"{table}_more", "bytes", place, readonly=readonly)
