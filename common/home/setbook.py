"""A party's book of the sets of rows that trainings were about: two that differ in few enterprises would tell of these.

What is measured of one set and of the same without a company differs by that company. PROTOCOL.md section 7.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.disk.book import open_book
from common.errors import PolicyError
from common.home.rowsets import row_keys
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_LEAST = 4096  # rows by which two sets are looked at first
_COLUMNS = "job text not null, monthly integer not null, least blob not null, rows blob not null"

Pairs = npt.NDArray[np.uint64]


@dataclass(frozen=True, repr=False)
class _Rows:
    """A set of rows: (hash of the row, hash of its enterprise), uint64 (n, 2), ascending by the first, each row once.

    monthly: whether a row is a month of an enterprise. end: the last hash up to which all rows are here.
    """

    pairs: Pairs
    monthly: bool
    end: int = 2**64 - 1

    @classmethod
    def of(cls, table: FeatureTable) -> _Rows:
        monthly, hashes = table.periods is not None, row_keys(table)
        rows, first = np.unique(hashes, return_index=True)
        firms = row_keys(FeatureTable(table.ids, None, {}, {})) if monthly else hashes
        return cls(np.column_stack([rows, firms[first]]), monthly)

    @classmethod
    def stored(cls, blob: bytes, monthly: bool, *, partly: bool = False) -> _Rows:
        pairs = np.frombuffer(blob, np.uint64).reshape(-1, 2)
        return cls(pairs, monthly, int(pairs[-1, 0])) if partly and len(pairs) == _LEAST else cls(pairs, monthly)

    def apart(self, other: _Rows) -> int:
        """Of how many enterprises the rows are that only one of the two has, as far as both are known.

        If the rows of one are months and those of the other are not, how many enterprises only one has.
        """
        if self.monthly != other.monthly:
            return len(np.setxor1d(self.pairs[:, 1], other.pairs[:, 1]))
        end = np.uint64(min(self.end, other.end))
        one, two = (rows.pairs[: np.searchsorted(rows.pairs[:, 0], end, side="right")] for rows in (self, other))
        mine = one[np.isin(one[:, 0], two[:, 0], assume_unique=True, invert=True), 1]
        theirs = two[np.isin(two[:, 0], one[:, 0], assume_unique=True, invert=True), 1]
        return len(np.unique(np.concatenate([mine, theirs])))


class SetBook:
    """One SQLite file, each commit durable: each set's hashes, once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as book:
            book.execute(f"create table if not exists sets ({_COLUMNS})")

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    @property
    def position(self) -> int:
        """How many sets were entered."""
        with self._open() as book:
            return int(book.execute("select count(*) from sets").fetchone()[0])

    def enter(self, table: FeatureTable, job: str, differ: int) -> None:
        """Enters the set of these rows, unless it is there already.

        Raises PolicyError when the rows in which it differs from one that is there are of fewer than `differ` enterprises,
        but not of none: exactly, of all sets that the rows of smallest hash do not show to differ in more.
        """
        asked, known = _Rows.of(table), False
        with self._open() as book:
            book.execute("begin immediate")
            for place, monthly, least in book.execute("select rowid, monthly, least from sets").fetchall():
                if monthly == asked.monthly and asked.apart(_Rows.stored(least, asked.monthly, partly=True)) >= differ:
                    continue
                ((blob,),) = book.execute("select rows from sets where rowid = ?", (place,))
                apart = asked.apart(_Rows.stored(blob, bool(monthly)))
                known |= apart == 0 and monthly == asked.monthly
                if 0 < apart < differ:
                    raise PolicyError(
                        "the matched rows differ in few enterprises from those of an earlier training: both together would"
                        " tell of these",
                        remedy="Train on the same rows again, or on rows of which those of more enterprises are new or gone.",
                    )
            if not known:
                rows = asked.pairs
                values = (job, asked.monthly, rows[:_LEAST].tobytes(), rows.tobytes())
                book.execute("insert into sets values (?, ?, ?, ?)", values)
