"""A party's book of the sets of rows that trainings were about: two that differ in few enterprises would tell of these.

What is measured of one set and of the same without a company differs by that company. PROTOCOL.md section 7.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.disk.blobs import first_bytes, make_more, read_words, write_blob
from common.disk.book import open_book
from common.errors import PolicyError
from common.home.apart import Banks, Together, told_apart
from common.home.rowsets import Keys, are_in, distinct, lacking, row_keys
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_BITS = 3  # of hashes, by which rows are sorted part by part
_SOME = 1 << 16  # rows that are written at a time
_LEAST = 4096  # rows by which two sets are looked at first
_ALIKE = 0.5  # the share of the smaller of two sets, above which sums over them differ by what one bank more brings
_COLUMNS = "job text not null, monthly integer not null, least blob not null, rows blob not null"
_TOGETHER = (
    "job text primary key, place integer not null, prepared text not null, counted text not null,"
    " alone integer not null, agreed integer not null"
)
_PREPARED = "select place, prepared, alone, agreed from together where job != ?"
_COUNTED = "select place, counted, 0, agreed from together where job != ? and counted != ''"


@dataclass(frozen=True, repr=False)
class _Rows:
    """A set of rows: each one's hash, uint64 (n,), ascending, each once, and that of its enterprise, (n,).

    monthly: whether a row is a month of an enterprise. end: the last hash up to which all rows are here.
    """

    rows: Keys
    firms: Keys
    monthly: bool
    end: int = 2**64 - 1

    @classmethod
    def of(cls, table: FeatureTable) -> _Rows:
        if table.periods is None:
            rows = distinct(row_keys(table))
            return cls(rows, rows, monthly=False)
        keys, parts, firms = row_keys(table), list[Keys](), list[Keys]()
        for part in range(1 << _BITS):  # hashes are alike in number whatever their first bits are
            at = np.flatnonzero(keys >> np.uint64(64 - _BITS) == part)
            found, first = np.unique(keys[at], return_index=True)
            parts.append(found)
            firms.append(row_keys(FeatureTable(table.ids[at[first]], None, {}, {})))
        del keys
        return cls(np.concatenate(parts), np.concatenate(firms), monthly=True)

    @classmethod
    def stored(cls, pairs: Keys, monthly: bool, *, partly: bool = False) -> _Rows:
        """Of (hash of the row, hash of its enterprise), one pair behind the other."""
        rows, firms = pairs[::2], pairs[1::2]
        return cls(rows, firms, monthly, int(rows[-1])) if partly and len(rows) == _LEAST else cls(rows, firms, monthly)

    @property
    def nbytes(self) -> int:
        return 2 * self.rows.nbytes

    def pairs(self) -> Iterator[Keys]:
        """As they are stored, some at a time."""
        for low in range(0, len(self.rows), _SOME):
            yield np.column_stack([self.rows[low : low + _SOME], self.firms[low : low + _SOME]])

    def apart(self, other: _Rows) -> int:
        """Of how many enterprises the rows are that only one of the two has, as far as both are known.

        If the rows of one are months and those of the other are not, how many enterprises only one has.
        """
        if self.monthly != other.monthly:
            one, two = np.unique(self.firms), np.unique(other.firms)
            return len(lacking(one, two)) + len(lacking(two, one))
        end = np.uint64(min(self.end, other.end))
        one, two = (found.rows[: np.searchsorted(found.rows, end, side="right")] for found in (self, other))
        mine, theirs = ~are_in(one, two), ~are_in(two, one)
        return len(np.unique(np.concatenate([self.firms[: len(one)][mine], other.firms[: len(two)][theirs]])))

    def common(self, other: _Rows) -> float:
        """The share of the smaller set that the other has too: of rows, or of enterprises where one set's rows are months."""
        if self.monthly == other.monthly:
            one, two = self.rows, other.rows
        else:
            one, two = np.unique(self.firms), np.unique(other.firms)
        return int(are_in(one, two).sum()) / max(1, min(len(one), len(two)))


class SetBook:
    """One SQLite file, each commit durable: each set's hashes, once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as book:
            book.execute(f"create table if not exists sets ({_COLUMNS})")
            make_more(book, "sets")
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
                few = np.frombuffer(least, np.uint64)
                if monthly == asked.monthly and asked.apart(_Rows.stored(few, asked.monthly, partly=True)) >= differ:
                    continue
                apart = asked.apart(self._stored(book, place))
                known |= apart == 0 and monthly == asked.monthly
                if 0 < apart < differ:
                    raise PolicyError(
                        "the matched rows differ in few enterprises from those of an earlier training: both together would"
                        " tell of these",
                        remedy="Train on the same rows again, or on rows of which those of more enterprises are new or gone.",
                    )
            if not known:
                least = np.column_stack([asked.rows[:_LEAST], asked.firms[:_LEAST]])
                values = (job, asked.monthly, least.tobytes(), first_bytes(asked.nbytes))
                made = book.execute("insert into sets values (?, ?, ?, zeroblob(?))", values)
                write_blob(book, "sets", "rows", made.lastrowid or 0, asked.nbytes, asked.pairs())

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
        ((monthly,),) = book.execute("select monthly from sets where rowid = ?", (place,)).fetchall()
        return _Rows.stored(read_words(book, "sets", "rows", place), bool(monthly))


def _text(banks: Banks) -> str:
    return json.dumps(sorted(banks))
