"""A party's book of the sets of rows that trainings were about: two that differ in few enterprises would tell of these.

What is measured of one set and of the same without a company differs by that company. PROTOCOL.md section 7.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.disk.book import open_book
from common.errors import PolicyError
from common.home.apart import Banks, Together, told_apart
from common.home.rowsets import row_keys
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_LEAST = 4096  # rows by which two sets are looked at first
_ALIKE = 0.5  # the share of the smaller of two sets, above which sums over them differ by what one bank more brings
_COLUMNS = "job text not null, monthly integer not null, least blob not null, rows blob not null"
_TOGETHER = (
    "job text primary key, place integer not null, prepared text not null, counted text not null,"
    " alone integer not null, agreed integer not null"
)
_PREPARED = "select place, prepared, alone, agreed from together where job != ?"
_COUNTED = "select place, counted, 0, agreed from together where job != ? and counted != ''"

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

    def common(self, other: _Rows) -> float:
        """The share of the smaller set that the other has too: of rows, or of enterprises where one set's rows are months."""
        column = int(self.monthly != other.monthly)
        one, two = (np.unique(rows.pairs[:, column]) for rows in (self, other))
        return len(np.intersect1d(one, two, assume_unique=True)) / max(1, min(len(one), len(two)))


class SetBook:
    """One SQLite file, each commit durable: each set's hashes, once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as book:
            book.execute(f"create table if not exists sets ({_COLUMNS})")
            book.execute(f"create table if not exists together ({_TOGETHER})")

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    @property
    def position(self) -> int:
        """How many sets were entered, and how many trainings of several banks."""
        with self._open() as book:
            return int(book.execute("select (select count(*) from sets) + (select count(*) from together)").fetchone()[0])

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

    def told_apart(self, table: FeatureTable, job: str, together: Together, own: str, *, counted: bool = False) -> Banks:
        """As `apart.told_apart`, of other trainings on these rows, or on rows of which most are these. own: this bank.

        counted: of counts of scores, else of sums over columns.
        """
        asked = _Rows.of(table)
        with self._open() as book:
            rows = book.execute(_COUNTED if counted else _PREPARED, (job,)).fetchall()
            alike = {place: self._stored(book, place).common(asked) >= _ALIKE for place in {place for place, *_ in rows}}
        past = [
            Together(frozenset(json.loads(banks)), bool(alone), bool(agreed))
            for place, banks, alone, agreed in rows
            if alike[place]
        ]
        return told_apart(past, replace(together, alone=together.alone and not counted), own)

    def enter_together(self, table: FeatureTable, job: str, together: Together) -> None:
        """Enters a training of several banks on a set that is there, before its first sum over columns is told."""
        asked = _Rows.of(table)
        with self._open() as book:
            book.execute("begin immediate")
            sets = book.execute("select rowid from sets where monthly = ? order by rowid desc", (asked.monthly,)).fetchall()
            place = next(place for (place,) in sets if not self._stored(book, place).apart(asked))
            values = (job, place, _text(together.banks), "", together.alone, together.agreed)
            book.execute("insert or replace into together values (?, ?, ?, ?, ?, ?)", values)

    def enter_counted(self, job: str, banks: Banks) -> None:
        """Enters that scores of these banks' held-out rows are counted together in a training that is there."""
        with self._open() as book:
            book.execute("update together set counted = ? where job = ?", (_text(banks), job))

    @staticmethod
    def _stored(book: sqlite3.Connection, place: int) -> _Rows:
        ((blob, monthly),) = book.execute("select rows, monthly from sets where rowid = ?", (place,)).fetchall()
        return _Rows.stored(blob, bool(monthly))


def _text(banks: Banks) -> str:
    return json.dumps(sorted(banks))
