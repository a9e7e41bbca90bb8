"""The bank's book of what others were told of its labels, in bits of each row. PROTOCOL.md section 7.

What is told of n rows costs each of them 1/n of its bits, in whichever job, failed ones too: nobody can say more of the
labels of a set of rows than was paid for it.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path

import numpy as np

from common.disk.book import open_book
from common.errors import PolicyError
from common.home.rowsets import Keys, distinct, row_keys
from common.home.standing import Charge, Standing
from common.mpc.fixedpoint import Reals
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_PUBLIC = "the labels of these rows have been told as much of as the bank allows"
_TABLES = (
    "create table if not exists sets (number integer primary key, digest blob not null unique, rows blob not null)",
    "create table if not exists secret (key blob not null)",
    "create table if not exists told (job text not null, what text not null, bits real not null, rows integer not null)",
)
_SAME = "select 1 from told join sets on number = told.rows where job = ? and what = ? and bits >= ? and digest = ?"
_CHARGES = "select job, what, bits, length(sets.rows) / 8 from told join sets on number = told.rows order by told.rowid"
_SETS = "select sum(bits), sets.rows from told join sets on number = told.rows group by number"


class ToldBook:
    """One SQLite file, each commit durable; a set of rows is kept once, however often it is charged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as book:
            for table in _TABLES:
                book.execute(table)
            if not book.execute("select 1 from secret").fetchone():
                book.execute("insert into secret values (?)", (secrets.token_bytes(32),))

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    @property
    def position(self) -> int:
        """How many charges were entered."""
        with self._open() as book:
            return int(book.execute("select count(*) from told").fetchone()[0])

    def knows(self, job: str) -> bool:
        """Whether this job has told anything."""
        with self._open() as book:
            return book.execute("select 1 from told where job = ?", (job,)).fetchone() is not None

    def secret(self) -> bytes:
        """32 random bytes of this book's, which never leave."""
        with self._open() as book:
            return bytes(book.execute("select key from secret").fetchone()[0])

    def charge(self, table: FeatureTable, job: str, what: str, bits: float, limit: float, *, again: bool = True) -> None:
        """Enters `bits` over these rows, before they are told. limit: most bits of any row.

        again: whether to enter them though this job was charged as much for the same of the same rows before.

        Raises PolicyError, whose public text has no number, when a row would have been told more of.
        """
        rows = distinct(row_keys(table))
        digest = blake2b(rows.tobytes(), digest_size=32).digest()
        with self._open() as book:
            book.execute("begin immediate")
            if not again and book.execute(_SAME, (job, what, bits, digest)).fetchone():
                return
            spent = float(_spent(rows, _sets(book)).max(initial=0.0))
            price = bits / max(1, len(rows))
            if spent + price > limit:
                raise PolicyError(
                    f"{what} would tell {bits:.1f} bits of the labels of {len(rows)} rows, {price:.4f} of each, and up to"
                    f" {spent:.4f} of one are told already",
                    expected=f"at most {limit} of each (label_bits)",
                    got=f"{spent + price:.4f}",
                    remedy="Use more or other rows, fewer columns, bins or trees, or a model that stays closed.",
                    public=_PUBLIC,
                )
            book.execute("insert or ignore into sets (digest, rows) values (?, ?)", (digest, rows.tobytes()))
            ((number,),) = book.execute("select number from sets where digest = ?", (digest,))
            book.execute("insert into told values (?, ?, ?, ?)", (job, what, bits, number))

    def standing(self, limit: float) -> Standing:
        """What has been told by now. limit: most bits of any row."""
        with self._open() as book:
            sets, charges = _sets(book), tuple(Charge(*row) for row in book.execute(_CHARGES))
        every = distinct(np.concatenate([np.empty(0, np.uint64), *(rows for _, rows in sets)]))
        return Standing("bits told of a row's label", "label_bits", limit, _spent(every, sets), charges)


def _sets(book: sqlite3.Connection) -> list[tuple[float, Keys]]:
    """Bits in all of each set of rows, and its rows."""
    return [(bits, np.frombuffer(rows, np.uint64)) for bits, rows in book.execute(_SETS)]


def _spent(rows: Keys, sets: list[tuple[float, Keys]]) -> Reals:
    """Bits of each of `rows`, (n,), which are distinct and ascending, as those of each set are."""
    spent = np.zeros(len(rows))
    for bits, of in sets:
        spent[np.isin(rows, of, assume_unique=True)] += bits / max(1, len(of))
    return spent
