"""Sets of rows in a book, each of an owner, that grow a few rows at a time: a change rewrites a leaf of a set, not the set.

A set is kept in order as leaves of at most `LEAF` keys, found by the first key each may hold, as in a B-tree of two levels.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from common.rows.hashes import hash_rows

Keys = npt.NDArray[np.uint64]  # of rows: distinct and ascending
_Found = tuple[int | None, list[tuple[int, Keys]]]

LEAF = 448  # with its page of 4 KiB to itself: twice as many take two or three, all of which each row writes to the disk
_FULL = LEAF * 3 // 4  # keys of a leaf that is made by splitting: there is room for the next ones
_SOME = 1 << 18  # keys that are compared at a time
FEW = 32  # keys that are looked up one by one
_LEAST = -(1 << 63)  # key k stands at k - 2^63, for SQLite's integers have a sign
_TABLES = (
    "create table if not exists owners (number integer primary key, name text not null unique)",
    "create table if not exists leaves (owner integer not null, first integer not null, rows blob not null,"
    " primary key (owner, first))",
)
_NUMBER = "select number from owners where name = ?"
_MADE = "insert or ignore into owners (name) values (?)"
_ALL = "select first, rows from leaves where owner = ? order by first"
_ONE = (  # the owner's number also where there is no leaf
    "select number, first, rows from owners left join leaves on owner = number and first ="
    " (select max(first) from leaves where owner = number and first <= ?) where name = ?"
)
_WRITE = "insert into leaves values (?, ?, ?) on conflict (owner, first) do update set rows = excluded.rows"
_SIZES = "select name, coalesce(sum(length(rows)), 0) / 8 from owners left join leaves on owner = number group by number"


class RowSets:
    """The sets in an open book. Whoever changes them, or looks twice, begins a transaction before."""

    def __init__(self, book: sqlite3.Connection) -> None:
        self._book = book
        self._looked: tuple[str, Keys, _Found] | None = None  # what was found last, as it may be entered next

    def make(self) -> None:
        """Makes the tables, where they are new."""
        for table in _TABLES:
            self._book.execute(table)

    def owners(self) -> list[str]:
        """All owners, the first one first."""
        return [name for (name,) in self._book.execute("select name from owners order by number")]

    def sizes(self) -> dict[str, int]:
        """How many rows each has, the first owner first."""
        return dict(self._book.execute(_SIZES))

    def knows(self, owner: str) -> bool:
        return self._number(owner) is not None

    def held(self, owner: str, asked: Keys) -> Keys:
        """Those of `asked` that are in the owner's set."""
        return _among(asked, self._find(owner, asked)[1])

    def every(self, owner: str) -> Keys:
        """The owner's set."""
        return np.concatenate(
            [np.empty(0, np.uint64), *(_keys(rows) for _, rows in self._book.execute(_ALL, (self._number(owner),)))]
        )

    def add(self, owner: str, rows: Keys) -> None:
        """Enters `rows` into the owner's set, which is made if it is new."""
        number, leaves = self._find(owner, rows)
        self._looked = None
        if len(rows) == len(leaves) == 1 and number is not None:
            self._add_one(number, *leaves[0], rows[0])
            return
        if number is None:
            self._book.execute(_MADE, (owner,))
            number = self._number(owner)
        assert number is not None  # noqa: S101
        leaves = leaves or [(_LEAST, np.empty(0, np.uint64))]
        new = lacking(rows, _among(rows, leaves))
        starts = np.array([first - _LEAST for first, _ in leaves], np.uint64)
        places = np.searchsorted(starts, new, side="right") - 1
        edges = np.append(np.flatnonzero(np.diff(places, prepend=-1)), len(new)).tolist()
        for low, high in pairwise(edges):
            first, keys = leaves[places[low]]
            self._write(number, first, np.sort(np.concatenate([keys, new[low:high]])))

    def discard(self, owner: str, rows: Keys) -> None:
        """Takes these rows, as far as they are there, out of the owner's set."""
        number, leaves = self._find(owner, rows)
        self._looked = None
        for first, keys in leaves:
            if number is not None and len(left := lacking(keys, rows)) < len(keys):
                self._write(number, first, left)

    def _add_one(self, number: int, first: int, keys: Keys, row: np.uint64) -> None:
        """The same of a row by itself, of a leaf that is there: a fifth of what the steps for many take."""
        at = int(keys.searchsorted(row))
        if at == len(keys) or keys[at] != row:
            held = keys.tobytes()
            self._write(number, first, _keys(b"".join((held[: 8 * at], row.tobytes(), held[8 * at :]))))

    def _write(self, number: int, first: int, keys: Keys) -> None:
        self._book.executemany(_WRITE, [(number, start, part.tobytes()) for start, part in _split(first, keys)])

    def remove(self, owner: str) -> None:
        """Forgets the owner, and the set."""
        self._looked = None
        self._book.execute("delete from leaves where owner = ?", (self._number(owner),))
        self._book.execute("delete from owners where name = ?", (owner,))

    def _number(self, owner: str) -> int | None:
        found = self._book.execute(_NUMBER, (owner,)).fetchone()
        return None if found is None else int(found[0])

    def _find(self, owner: str, asked: Keys) -> _Found:
        """The owner's number, None without one, and the leaves in which `asked` may be, in order, each with where it begins."""
        if (last := self._looked) is not None and last[0] == owner and {*asked.tolist()} <= {*last[1].tolist()}:
            return last[2]
        if not 0 < len(asked) <= FEW:
            number = self._number(owner)
            every = self._book.execute(_ALL, (number,)) if len(asked) else ()
            return number, [(first, _keys(rows)) for first, rows in every]
        number, leaves = None, dict[int, Keys]()
        for key in asked.tolist():
            if (one := self._book.execute(_ONE, (key + _LEAST, owner)).fetchone()) is not None:
                number, first, rows = one
                if first is not None:
                    leaves[first] = _keys(rows)
        found = number, sorted(leaves.items(), key=lambda leaf: leaf[0])
        self._looked = owner, asked, found
        return found


def _keys(rows: bytes) -> Keys:
    return np.frombuffer(rows, np.uint64)


def _among(asked: Keys, leaves: list[tuple[int, Keys]]) -> Keys:
    every = leaves[0][1] if len(leaves) == 1 else np.concatenate([np.empty(0, np.uint64), *(keys for _, keys in leaves)])
    found: Keys = asked[are_in(asked, every)]
    return found


def are_in(asked: Keys, keys: Keys) -> npt.NDArray[np.bool_]:
    """Which of `asked` are among `keys`, (n,), which are distinct and ascending; some at a time."""
    if len(asked) == 1:  # as of a row that is asked for: a third of what the steps for many take
        place = int(keys.searchsorted(asked[0]))
        return np.array([place < len(keys) and keys[place] == asked[0]], np.bool_)
    found = np.zeros(len(asked), np.bool_)
    for low in range(0, len(asked) if len(keys) else 0, _SOME):
        part = asked[low : low + _SOME]
        at = np.minimum(np.searchsorted(keys, part), len(keys) - 1)
        found[low : low + _SOME] = keys[at] == part
    return found


class Ascending:
    """Rows of keys as they are stored, (n, width), ascending by the first of each, read on as far as they are compared."""

    def __init__(self, parts: Iterator[Keys]) -> None:
        self._parts = parts
        self._next = next(parts, np.empty((0, 1), np.uint64))

    def up_to(self, end: int) -> Keys:
        """Those that follow, up to one that begins with `end`: (k, width)."""
        found = list[Keys]()
        while True:
            count = int(np.searchsorted(np.ascontiguousarray(self._next[:, 0]), np.uint64(end), side="right"))
            found.append(self._next[:count])
            if count < len(self._next) or (more := next(self._parts, None)) is None:
                break
            self._next = more
        self._next = self._next[count:]
        return np.concatenate(found)


def lacking(asked: Keys, keys: Keys) -> Keys:
    """Those of `asked` that are not among `keys`, which are distinct and ascending."""
    found: Keys = asked[~are_in(asked, keys)]
    return found


def _split(first: int, keys: Keys) -> Iterator[tuple[int, Keys]]:
    """A leaf that begins at `first` as one or more, each with where it begins."""
    if len(keys) <= LEAF:
        yield first, keys
        return
    for number, part in enumerate(np.array_split(keys, -(-len(keys) // _FULL))):
        yield first if number == 0 else int(part[0]) + _LEAST, part


row_keys = partial(hash_rows, key=b"wattscore ledger", again=True)


def distinct(keys: Keys) -> Keys:
    """The keys, each once, which are sorted where they stand; np.unique hashes first, which takes ten times as long."""
    keys.sort()
    new = keys[1:] != keys[:-1]
    return keys if new.all() else keys[np.append(True, new)]
