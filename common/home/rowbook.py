"""The grid's book of scored rows: each (row, model) opened to the bank is one linear equation in the grid's features.

After as many models as the grid has columns the bank could solve for them, so a row is scored by few models. PROTOCOL.md
section 7.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.disk.book import open_book
from common.errors import ConfigError, PolicyError
from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable

Keys = npt.NDArray[np.uint64]
_VERSION = 1  # of how rows are hashed


class Ledger:
    """Kept in one SQLite file, across restarts: for each model the sorted 64-bit hashes of the rows it has scored."""

    _FULL = "have been scored by {limit} models already"
    _REMEDY = "Score other rows. The limit is the grid's scores_per_row, and half of its trained columns."

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as book:
            (version,) = book.execute("pragma user_version").fetchone()
            if version == 0 and book.execute("select count(*) from sqlite_master where name = 'scored'").fetchone()[0]:
                raise ConfigError(
                    f"{file}: a book of an earlier version, whose rows this version cannot tell",
                    remedy="Keep it apart, and score rows that are not in it, or none until both sides agree to begin anew.",
                )
            book.execute(f"pragma user_version = {_VERSION}")
            book.execute("create table if not exists scored (model text primary key, rows blob not null)")

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, durable=True)  # what was charged leaves right after

    def knows(self, model: str) -> bool:
        """Whether rows were entered under this name."""
        with self._open() as book:
            return book.execute("select 1 from scored where model = ?", (model,)).fetchone() is not None

    def check(self, table: FeatureTable, model: str, limit: int) -> None:
        """Raises PolicyError if `charge` would; with a limit less one, if it would after another model's."""
        with self._open() as book:
            self._check(book, _distinct(_keys(table)), model, limit)

    def charge(self, table: FeatureTable, model: str, limit: int) -> None:
        """Enters these rows for `model`, all or none. The same model again costs nothing: it is the same equation.

        Raises PolicyError when a row has been scored by `limit` other models already.
        """
        asked = _distinct(_keys(table))
        with self._open() as book:
            book.execute("begin immediate")
            own = self._check(book, asked, model, limit)
            book.execute(
                "insert or replace into scored values (?, ?)", (model, _distinct(np.concatenate([own, asked])).tobytes())
            )

    @classmethod
    def _check(cls, book: sqlite3.Connection, asked: Keys, model: str, limit: int) -> Keys:
        """The rows that `model` has scored before, if `asked` are within the limit."""
        scored = {name: np.frombuffer(rows, np.uint64) for name, rows in book.execute("select model, rows from scored")}
        own = scored.pop(model, np.empty(0, np.uint64))
        asked = np.setdiff1d(asked, own, assume_unique=True)
        times = sum((np.isin(asked, rows, assume_unique=True).astype(np.int64) for rows in scored.values()), start=np.int64(0))
        if over := int(np.count_nonzero(times >= limit)):
            raise PolicyError(f"{over} of {len(asked)} rows {cls._FULL.format(limit=limit)}", remedy=cls._REMEDY)
        return own


_keys = partial(hash_rows, key=b"wattscore ledger")


def _distinct(keys: Keys) -> Keys:
    """Sorted, each once; np.unique hashes first, which takes ten times as long."""
    ordered = np.sort(keys)
    found: Keys = ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
    return found


class CountedLedger(Ledger):
    """The bank's book of rows whose labels were counted for the grid, by training job. PROTOCOL.md section 13."""

    _FULL = "have had their labels counted by bin in {limit} training jobs already"
    _REMEDY = "Use coding = 'bins' or 'linear', or other rows. The limit is the bank's counts_per_row."
