"""The grid's book of scored rows: each (row, model) opened to the bank is one linear equation in the grid's features.

After as many models as the grid has columns the bank could solve for them, so a row is scored by few models. PROTOCOL.md
section 7.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from common.errors import PolicyError
from common.table import FeatureTable


class Ledger:
    """Kept in one SQLite file, across restarts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as book, book:
            book.execute("create table if not exists scored (row blob, model text, primary key (row, model)) without rowid")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30.0)

    def charge(self, table: FeatureTable, model: str, limit: int) -> None:
        """Enters these rows for `model`, all or none. The same model again costs nothing: it is the same equation.

        Raises PolicyError when a row has been scored by `limit` other models already.
        """
        keys = [(_key(table, row), model) for row in range(table.rows)]
        with closing(self._open()) as book, book:
            book.execute("create temp table asked (row blob primary key)")
            book.executemany("insert into asked values (?)", [(key,) for key, _ in keys])
            over = book.execute(
                "select count(*) from (select s.row from scored s join asked a on a.row = s.row where s.model <> ?"
                " group by s.row having count(*) >= ?)",
                (model, limit),
            ).fetchone()[0]
            if over:
                raise PolicyError(
                    f"{over} of {table.rows} rows have been scored by {limit} models already",
                    remedy="Score other rows, or let the grid raise scores_per_row in its policy.",
                )
            book.executemany("insert or ignore into scored values (?, ?)", keys)


def _key(table: FeatureTable, row: int) -> bytes:
    period = 0 if table.periods is None else int(table.periods[row])
    return blake2b(f"{table.ids[row]}|{period}".encode(), digest_size=16).digest()
