"""A book of rows that were used, by the job or model that used them: each row may be used by few."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.disk.book import open_book
from common.errors import PolicyError
from common.home.standing import Charge, Standing
from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable

_ALL = "select model, rows from scored order by rowid"
Keys = npt.NDArray[np.uint64]
_VERSION = 1  # of how rows are hashed
_EARLIER = "Keep it apart, and use rows that are not in it, or none until both sides agree to begin anew."


class RowBook:
    """Kept in one SQLite file, across restarts: for each user the sorted 64-bit hashes of the rows it has used.

    full: what is said of rows beyond the limit, with {limit} in it; remedy: what to do about them.
    """

    def __init__(self, file: Path, full: str, remedy: str) -> None:
        self._file, self._full, self._remedy = file, full, remedy
        with self._open() as book:
            book.execute("create table if not exists scored (model text primary key, rows blob not null)")

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True, remedy=_EARLIER)  # what was charged leaves right after

    @property
    def position(self) -> int:
        """How many rows of how many users were entered."""
        with self._open() as book:
            return int(book.execute("select coalesce(sum(length(rows) / 8 + 1), 0) from scored").fetchone()[0])

    def knows(self, user: str) -> bool:
        """Whether rows were entered under this name."""
        with self._open() as book:
            return book.execute("select 1 from scored where model = ?", (user,)).fetchone() is not None

    def check(self, table: FeatureTable, user: str, limit: int) -> None:
        """Raises PolicyError if `charge` would; with a limit less one, if it would after another user's."""
        with self._open() as book:
            self._check(book, distinct(row_keys(table)), user, limit)

    def charge(self, table: FeatureTable, user: str, limit: int) -> None:
        """Enters these rows for `user`, all or none. The same user again costs nothing.

        Raises PolicyError when a row has been used by `limit` others already.
        """
        asked = distinct(row_keys(table))
        with self._open() as book:
            book.execute("begin immediate")
            own = self._check(book, asked, user, limit)
            book.execute(
                "insert or replace into scored values (?, ?)", (user, distinct(np.concatenate([own, asked])).tobytes())
            )

    def standing(self, of: str, key: str, limit: int) -> Standing:
        """How many users each row has had by now. of, key, limit: as `Standing` has them."""
        with self._open() as book:
            used = [(name, np.frombuffer(rows, np.uint64)) for name, rows in book.execute(_ALL)]
        _, times = np.unique(np.concatenate([np.empty(0, np.uint64), *(rows for _, rows in used)]), return_counts=True)
        charges = tuple(Charge(name, "scores", 1.0, len(rows)) for name, rows in used)
        return Standing(of, key, limit, times.astype(np.float64), charges)

    def _check(self, book: sqlite3.Connection, asked: Keys, user: str, limit: int) -> Keys:
        """The rows that `user` has used before, if `asked` are within the limit."""
        scored = {name: np.frombuffer(rows, np.uint64) for name, rows in book.execute(_ALL)}
        own = scored.pop(user, np.empty(0, np.uint64))
        asked = np.setdiff1d(asked, own, assume_unique=True)
        times = sum((np.isin(asked, rows, assume_unique=True).astype(np.int64) for rows in scored.values()), start=np.int64(0))
        if over := int(np.count_nonzero(times >= limit)):
            raise PolicyError(f"{over} of {len(asked)} rows {self._full.format(limit=limit)}", remedy=self._remedy)
        return own


row_keys = partial(hash_rows, key=b"wattscore ledger")


def distinct(keys: Keys) -> Keys:
    """The keys, sorted, each once; np.unique hashes first, which takes ten times as long."""
    ordered = np.sort(keys)
    found: Keys = ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
    return found
