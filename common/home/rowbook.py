"""A book of rows that were used, by the job or model that used them: each row may be used by few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np

from common.disk.book import KeptBook
from common.errors import PolicyError
from common.home.rowsets import Keys, RowSets, distinct, lacking, row_keys
from common.home.standing import Charge, Standing
from common.rows.table import FeatureTable

_VERSION = 2  # of how rows are hashed, and stored
_EARLIER = "Keep it apart, and use rows that are not in it, or none until both sides agree to begin anew."


class RowBook:
    """Kept in one SQLite file, across restarts: for each user the 64-bit hashes of the rows it has used.

    A charge writes as much as its rows need, however many there are already.
    full: what is said of rows beyond the limit, with {limit} in it; remedy: what to do about them.
    """

    def __init__(self, file: Path, full: str, remedy: str) -> None:
        self._full, self._remedy = full, remedy
        self._book = KeptBook(file, version=_VERSION, remedy=_EARLIER)
        with self._open() as sets:
            sets.make()

    @contextmanager
    def _open(self, begin: str = "begin") -> Iterator[RowSets]:
        # what was charged leaves right after
        with self._book.open() as book:
            book.execute(begin)
            yield RowSets(book)

    @property
    def position(self) -> int:
        """How many rows of how many users were entered."""
        with self._open() as sets:
            return sum(count + 1 for count in sets.sizes().values())

    def close(self) -> None:
        self._book.close()

    def knows(self, user: str) -> bool:
        """Whether rows were entered under this name, or for it by the model of another job: MODEL/USER, #k behind if again."""
        with self._open() as sets:
            return sets.knows(user) or any(user in name.partition("#")[0].split("/") for name in sets.owners())

    def check(self, table: FeatureTable, user: str, limit: int) -> None:
        """Raises PolicyError if `charge` would; with a limit less one, if it would after another user's."""
        with self._open() as sets:
            self._check(sets, distinct(row_keys(table)), user, limit)

    def charge(self, table: FeatureTable, user: str, limit: int) -> None:
        """Enters these rows for `user`, all or none. The same user again costs nothing.

        Raises PolicyError when a row has been used by `limit` others already.
        """
        asked = distinct(row_keys(table))
        with self._open("begin immediate") as sets:
            sets.add(user, self._check(sets, asked, user, limit))

    def charge_again(self, table: FeatureTable, user: str, limit: int) -> None:
        """Enters these rows once more for `user`, all or none: a use of its own each time, whatever was entered before.

        The k-th use of a row stands under USER#k. Raises PolicyError when a row has been used `limit` times already, by
        whomever.
        """
        asked = distinct(row_keys(table))
        with self._open("begin immediate") as sets:
            self._check(sets, asked, None, limit)
            for number in count(1):
                if not len(asked):
                    break
                held = sets.held(name := f"{user}#{number}", asked)
                sets.add(name, lacking(asked, held))
                asked = held

    def standing(self, of: str, key: str, limit: int) -> Standing:
        """How many users each row has had by now. of, key, limit: as `Standing` has them."""
        with self._open() as sets:
            used = [(name, sets.every(name)) for name in sets.owners()]
        _, times = np.unique(np.concatenate([np.empty(0, np.uint64), *(rows for _, rows in used)]), return_counts=True)
        charges = tuple(Charge(name, "scores", 1.0, len(rows)) for name, rows in used)
        return Standing(of, key, limit, times.astype(np.float64), charges)

    def _check(self, sets: RowSets, asked: Keys, user: str | None, limit: int) -> Keys:
        """The rows that `user` has not used before, if they are within the limit; None: all of them are a use."""
        if user is not None:
            asked = lacking(asked, sets.held(user, asked))
        times = np.zeros(len(asked), np.int64)
        for other in sets.owners() if len(asked) else ():
            if other != user:
                times[np.searchsorted(asked, sets.held(other, asked))] += 1
        if over := int(np.count_nonzero(times >= limit)):
            raise PolicyError(f"{over} of {len(asked)} rows {self._full.format(limit=limit)}", remedy=self._remedy)
        return asked
