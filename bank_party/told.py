"""The bank's book of what others were told of its labels, in bits of each row. PROTOCOL.md section 7.

What is told of n rows costs each of them 1/n of its bits, in whichever job, failed ones too: nobody can say more of the
labels of a set of rows than was paid for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.disk.book import open_book
from common.errors import PolicyError
from common.home.rowbook import Keys, distinct, row_keys
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_PUBLIC = "the labels of these rows have been told as much of as the bank allows"


@dataclass(frozen=True)
class Told:
    """One charge: in which job, what for, bits in all, and of how many rows."""

    job: str
    what: str
    bits: float
    rows: int


class ToldBook:
    """One SQLite file, each commit durable."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with open_book(file, durable=True) as book:
            book.execute(f"pragma user_version = {_VERSION}")
            columns = "job text not null, what text not null, bits real not null, rows blob not null"
            book.execute(f"create table if not exists told ({columns})")

    def knows(self, job: str) -> bool:
        """Whether this job has told anything."""
        with open_book(self._file, durable=True) as book:
            return book.execute("select 1 from told where job = ?", (job,)).fetchone() is not None

    def charge(self, table: FeatureTable, job: str, what: str, bits: float, limit: float) -> None:
        """Enters `bits` over these rows, before they are told. limit: most bits of any row.

        Raises PolicyError, whose public text has no number, when a row would have been told more of.
        """
        rows = distinct(row_keys(table))
        with open_book(self._file, durable=True) as book:
            book.execute("begin immediate")
            charges = book.execute("select bits, rows from told").fetchall()
            spent = float(_spent(rows, [(cost, np.frombuffer(blob, np.uint64)) for cost, blob in charges]).max(initial=0.0))
            price = bits / max(1, len(rows))
            if spent + price > limit:
                raise PolicyError(
                    f"{what} would tell {bits:.1f} bits of the labels of {len(rows)} rows, {price:.4f} of each, and up to"
                    f" {spent:.4f} of one are told already",
                    expected=f"at most {limit} of each (label_bits)",
                    got=f"{spent + price:.4f}",
                    remedy="Use more or other rows, fewer columns or bins, or a model that stays closed.",
                    public=_PUBLIC,
                )
            book.execute("insert into told values (?, ?, ?, ?)", (job, what, bits, rows.tobytes()))

    def entries(self) -> list[Told]:
        """All charges, oldest first."""
        with open_book(self._file, durable=True) as book:
            found = book.execute("select job, what, bits, length(rows) / 8 from told order by rowid")
            return [Told(*row) for row in found]

    def spent(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Bits told of each row that any was told of, in no order."""
        with open_book(self._file, durable=True) as book:
            charges = [(bits, np.frombuffer(rows, np.uint64)) for bits, rows in book.execute("select bits, rows from told")]
        every = distinct(np.concatenate([np.empty(0, np.uint64), *(rows for _, rows in charges)]))
        return _spent(every, charges)


def _spent(rows: Keys, charges: list[tuple[float, Keys]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Bits of each of `rows`, (n,), which are distinct and ascending, as those of each charge are."""
    total = np.zeros(len(rows))
    for bits, charged in charges:
        total[np.isin(rows, charged, assume_unique=True)] += bits / max(1, len(charged))
    return total
