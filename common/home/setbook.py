"""A party's book of the sets of rows that trainings were about: two that differ in few enterprises would tell of these.

What is measured of one set and of the same without a company differs by that company. PROTOCOL.md section 7.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.disk.blobs import first_bytes, make_more, read_rows, write_blob
from common.disk.book import open_book
from common.errors import PolicyError
from common.home.apart import Banks, Together, told_apart
from common.home.rowsets import Ascending, Keys, are_in, distinct, lacking, row_keys
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_BITS = 5  # of hashes, by which many rows are compared run by run
_SOME = 1 << 16  # rows that are written at a time, and no more than one run
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
    """Rows of a set: each one's hash, uint64 (n,), ascending, each once, and that of its enterprise, (n,).

    end: the last hash up to which all rows are here, from where the one begins that they follow.
    """

    rows: Keys
    firms: Keys
    end: int = 2**64 - 1

    def beyond(self, other: _Rows) -> Keys:
        """The enterprises of rows that only one of the two has, as far as both are known; some more than once."""
        end = np.uint64(min(self.end, other.end))
        one, two = (found.rows[: np.searchsorted(found.rows, end, side="right")] for found in (self, other))
        mine, theirs = ~are_in(one, two), ~are_in(two, one)
        return np.concatenate([self.firms[: len(one)][mine], other.firms[: len(two)][theirs]])


class _Asked:
    """The rows of a table, run by run: neither they nor a stored set are ever held as a whole.

    monthly: whether a row is a month of an enterprise.
    """

    def __init__(self, table: FeatureTable) -> None:
        self.monthly = table.periods is not None
        self._ids, self._keys = table.ids, row_keys(table)

    def runs(self) -> Iterator[_Rows]:
        """All rows; hashes are alike in number whatever their first bits are."""
        bits = _BITS if len(self._keys) > _SOME else 0
        for run in range(1 << bits):
            low, end = run << (64 - bits), (run + 1 << (64 - bits)) - 1
            at = np.flatnonzero((self._keys >= np.uint64(low)) & (self._keys <= np.uint64(end)))
            if self.monthly:
                rows, first = np.unique(self._keys[at], return_index=True)
                yield _Rows(rows, row_keys(FeatureTable(self._ids[at[first]], None, {}, {})), end)
            else:
                rows = distinct(self._keys[at])
                yield _Rows(rows, rows, end)

    def least(self) -> _Rows:
        """The `_LEAST` rows of smallest hash, or all."""
        rows, firms = np.empty(0, np.uint64), np.empty(0, np.uint64)
        for run in self.runs():
            rows, firms = np.concatenate([rows, run.rows]), np.concatenate([firms, run.firms])
            if len(rows) >= _LEAST:
                break
        return _few(np.column_stack([rows[:_LEAST], firms[:_LEAST]]))

    def pairs(self) -> Iterator[Keys]:
        """As they are stored, (n, 2), some at a time."""
        for run in self.runs():
            for low in range(0, len(run.rows), _SOME):
                yield np.column_stack([run.rows[low : low + _SOME], run.firms[low : low + _SOME]])


def _few(pairs: Keys) -> _Rows:
    """The first rows of a set, by (hash of the row, hash of its enterprise), (n, 2)."""
    return _run(pairs, int(pairs[-1, 0]) if len(pairs) == _LEAST else 2**64 - 1)


def _run(pairs: Keys, end: int) -> _Rows:
    return _Rows(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), end)


class _Firms:
    """Enterprises of two sets, of which one has months as rows, gathered run by run."""

    def __init__(self) -> None:
        self._mine, self._theirs = list[Keys](), list[Keys]()

    def add(self, mine: _Rows, theirs: _Rows) -> None:
        self._mine.append(np.unique(mine.firms))
        self._theirs.append(np.unique(theirs.firms))

    def both(self) -> tuple[Keys, Keys]:
        """Each side's, distinct and ascending."""
        return np.unique(np.concatenate(self._mine)), np.unique(np.concatenate(self._theirs))


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
        asked = _Asked(table)
        least = asked.least()
        with self._open() as book:
            book.execute("begin immediate")
            near = {
                place: bool(monthly)
                for place, monthly, few in book.execute("select rowid, monthly, least from sets")
                if monthly != asked.monthly
                or len(np.unique(least.beyond(_few(np.frombuffer(few, np.uint64).reshape(-1, 2))))) < differ
            }
            count, apart = _apart(book, asked, near, differ)
            if any(0 < firms < differ for firms in apart.values()):
                raise PolicyError(
                    "the matched rows differ in few enterprises from those of an earlier training: both together would"
                    " tell of these",
                    remedy="Train on the same rows again, or on rows of which those of more enterprises are new or gone.",
                )
            if all(firms or near[place] != asked.monthly for place, firms in apart.items()):
                few = np.column_stack([least.rows, least.firms]).tobytes()
                values = (job, asked.monthly, few, first_bytes(16 * count))
                made = book.execute("insert into sets values (?, ?, ?, zeroblob(?))", values)
                write_blob(book, "sets", "rows", made.lastrowid or 0, 16 * count, asked.pairs())

    def told_apart(self, table: FeatureTable, job: str, together: Together, own: str, *, counted: bool = False) -> Banks:
        """As `apart.told_apart`, of other trainings on these rows, or on rows of which most are these. own: this bank.

        counted: of counts of scores, else of sums over columns.
        """
        asked = _Asked(table)
        with self._open() as book:
            rows = book.execute(_COUNTED if counted else _PREPARED, (job,)).fetchall()
            shares = _common(book, asked, _monthly(book, {place for place, *_ in rows}))
        alike = {place: share >= _ALIKE for place, share in shares.items()}
        past = [
            Together(frozenset(json.loads(banks)), bool(alone), bool(agreed))
            for place, banks, alone, agreed in rows
            if alike[place]
        ]
        return told_apart(past, replace(together, alone=together.alone and not counted), own)

    def enter_together(self, table: FeatureTable, job: str, together: Together) -> None:
        """Enters a training of several banks on a set that is there, before its first sum over columns is told."""
        asked = _Asked(table)
        with self._open() as book:
            book.execute("begin immediate")
            sets = book.execute("select rowid from sets where monthly = ? order by rowid desc", (asked.monthly,)).fetchall()
            _, apart = _apart(book, asked, {place: asked.monthly for (place,) in sets}, 1)
            place = next(place for place, firms in apart.items() if not firms)
            values = (job, place, _text(together.banks), "", together.alone, together.agreed)
            book.execute("insert or replace into together values (?, ?, ?, ?, ?, ?)", values)

    def enter_counted(self, job: str, banks: Banks) -> None:
        """Enters that scores of these banks' held-out rows are counted together in a training that is there."""
        with self._open() as book:
            book.execute("update together set counted = ? where job = ?", (_text(banks), job))


def _monthly(book: sqlite3.Connection, places: Collection[int]) -> dict[int, bool]:
    """Whether the rows of each of these sets are months."""
    found = book.execute("select rowid, monthly from sets").fetchall()
    return {place: bool(monthly) for place, monthly in found if place in places}


def _beside(book: sqlite3.Connection, asked: _Asked, places: Collection[int]) -> Iterator[tuple[_Rows, dict[int, _Rows]]]:
    """Each run of the asked rows, and of each stored set, by its place, the rows that are to be compared with it.

    A place that is removed from `places`, meanwhile, is read no further.
    """
    with ExitStack() as opened:
        pairs = {place: opened.enter_context(closing(read_rows(book, "sets", "rows", place, 2))) for place in places}
        stored = {place: Ascending(found) for place, found in pairs.items()}
        for run in asked.runs():
            yield run, {place: _run(stored[place].up_to(run.end), run.end) for place in places}


def _apart(book: sqlite3.Connection, asked: _Asked, monthly: Mapping[int, bool], differ: int) -> tuple[int, dict[int, int]]:
    """How many distinct rows are asked for; of how many enterprises the rows are that only these or a stored set has.

    monthly: of each set to compare with, by its place; the answer is at most `differ`, which stands for more too. If rows of
    one are months and those of the other are not: how many enterprises only one has.
    """
    count, alone = 0, {place: np.empty(0, np.uint64) for place in monthly}
    firms, left = defaultdict[int, _Firms](_Firms), list(monthly)
    for run, others in _beside(book, asked, left):
        count += len(run.rows)
        for place, other in others.items():
            if monthly[place] != asked.monthly:
                firms[place].add(run, other)
                continue
            alone[place] = np.unique(np.concatenate([alone[place], run.beyond(other)]))
            if len(alone[place]) >= differ:
                left.remove(place)
    found = {place: min(differ, len(few)) for place, few in alone.items()}
    for place, (one, two) in ((place, pair.both()) for place, pair in firms.items()):
        found[place] = min(differ, len(lacking(one, two)) + len(lacking(two, one)))
    return count, found


def _common(book: sqlite3.Connection, asked: _Asked, monthly: Mapping[int, bool]) -> dict[int, float]:
    """The share of the smaller set that the other has too: of rows, or of enterprises where one set's rows are months."""
    sizes, both = dict.fromkeys(monthly, (0, 0)), dict.fromkeys(monthly, 0)
    firms = defaultdict[int, _Firms](_Firms)
    for run, others in _beside(book, asked, list(monthly)):
        for place, other in others.items():
            if monthly[place] != asked.monthly:
                firms[place].add(run, other)
                continue
            sizes[place] = sizes[place][0] + len(run.rows), sizes[place][1] + len(other.rows)
            both[place] += int(are_in(run.rows, other.rows).sum())
    for place, (one, two) in ((place, pair.both()) for place, pair in firms.items()):
        sizes[place], both[place] = (len(one), len(two)), int(are_in(one, two).sum())
    return {place: both[place] / max(1, min(sizes[place])) for place in monthly}


def _text(banks: Banks) -> str:
    return json.dumps(sorted(banks))
