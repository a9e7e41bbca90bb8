"""Large blobs of a book, written and read a piece after the other: as a whole SQLite would hold several copies of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

_PIECE = 1 << 20  # bytes

Words = npt.NDArray[np.uint64]


def write_blob(book: sqlite3.Connection, table: str, column: str, row: int, arrays: Iterable[npt.NDArray[Any]]) -> None:
    """Fills a blob that was made by zeroblob(bytes) with these arrays, one behind the other; row: its rowid."""
    with book.blobopen(table, column, row) as blob:
        for array in arrays:
            blob.write(memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data))


def read_words(book: sqlite3.Connection, table: str, column: str, row: int) -> Words:
    """The blob as uint64 (n,)."""
    with book.blobopen(table, column, row, readonly=True) as blob:
        found = np.empty(len(blob) // 8, np.uint64)
        into = found.view(np.uint8)
        for low in range(0, len(blob), _PIECE):
            into[low : low + _PIECE] = np.frombuffer(blob.read(_PIECE), np.uint8)
    return found
