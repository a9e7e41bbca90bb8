"""The bank's book of what others were told of its labels, in bits of each row. PROTOCOL.md section 7.

What is told of n rows costs each of them 1/n of its bits, in whichever job, failed ones too: nobody can say more of the
labels of a set of rows than was paid for it. Metrics have an account of their own.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from common.disk.blobs import first_bytes, length_of, make_more, read_rows, read_words, write_blob
from common.disk.book import open_book
from common.errors import PolicyError
from common.home.rowsets import Ascending, Keys, are_in, distinct, row_keys
from common.home.standing import Charge, Standing
from common.mpc.fixedpoint import Reals
from common.rows.table import FeatureTable

_VERSION = 1  # of how rows are hashed
_TABLES = (
    "create table if not exists sets (number integer primary key, digest blob not null unique, rows blob not null)",
    "create table if not exists secret (key blob not null)",
)
_TABLE = "create table if not exists {0} (job text not null, what text not null, bits real not null, rows integer not null)"
_SAME = "select 1 from {0} join sets on number = {0}.rows where job = ? and what = ? and bits >= ? and digest = ?"
_ROWS = f"{length_of('sets', 'rows')} / 8"
_CHARGES = f"select job, what, bits, {_ROWS} from {{0}} join sets on number = {{0}}.rows order by {{0}}.rowid"  # noqa: S608
_SUMS = "select rows as number, sum(bits) as bits from {0} group by rows"  # apart: what is grouped is sorted, rows and all
_SETS = f"select bits, number, {_ROWS} from ({_SUMS}) join sets using (number) order by number"  # noqa: S608
_SOME = 1 << 18  # rows that are compared at a time


@dataclass(frozen=True)
class Account:
    """One budget of the book. table: its charges; key: the policy's, of the most bits of any row; of: what these are."""

    table: str
    key: str
    of: str
    public: str  # what others hear of a refusal
    remedy: str


LABELS = Account(
    "told",
    "label_bits",
    "bits told of a row's label",
    "the labels of these rows have been told as much of as the bank allows",
    "Use more or other rows, fewer columns, bins, trees or epochs with early_stop, or a model that stays closed.",
)
METRICS = Account(
    "metrics",
    "metric_bits",
    "bits that metrics told of a held-out row's label",
    "metrics of these held-out rows have been told as often as the bank allows",
    "Hold out more or other rows, or raise metric_bits in the bank's policy.",
)
ACCOUNTS = (LABELS, METRICS)


@dataclass(frozen=True)
class Cheaper:
    """How to tell less, of one kind of model. remedy: for all; fitting: what tells at most so many bits, for the bank alone."""

    remedy: str
    fitting: Callable[[float], str]


@dataclass(frozen=True, repr=False)
class Due:
    """A charge: so many bits of the labels of these rows. again, cheaper: as of `ToldBook.charge`."""

    table: FeatureTable
    what: str
    bits: float
    again: bool = True
    cheaper: Cheaper | None = None


class _Undone(Exception):
    """What was only looked at is taken back."""


class ToldBook:
    """One SQLite file, each commit durable; a set of rows is kept once, however often it is charged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._open() as book:
            for statement in (*_TABLES, *(_TABLE.format(account.table) for account in ACCOUNTS)):
                book.execute(statement)
            make_more(book, "sets")
            if not book.execute("select 1 from secret").fetchone():
                # looked at again as it is written: of two processes that open a new book at once each would else make one
                new = "insert into secret select ? where not exists (select 1 from secret)"
                book.execute(new, (secrets.token_bytes(32),))

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    @property
    def position(self) -> int:
        """How many charges were entered."""
        with self._open() as book:
            return sum(int(book.execute(f"select count(*) from {a.table}").fetchone()[0]) for a in ACCOUNTS)  # noqa: S608

    def knows(self, job: str) -> bool:
        """Whether this job has told anything."""
        with self._open() as book:
            asked = (f"select 1 from {account.table} where job = ?" for account in ACCOUNTS)  # noqa: S608
            return any(book.execute(statement, (job,)).fetchone() for statement in asked)

    def secret(self) -> bytes:
        """32 random bytes of this book's, which never leave."""
        with self._open() as book:
            return bytes(book.execute("select key from secret").fetchone()[0])

    def charge(
        self,
        table: FeatureTable,
        job: str,
        what: str,
        bits: float,
        limit: float,
        *,
        again: bool = True,
        account: Account = LABELS,
        cheaper: Cheaper | None = None,
    ) -> None:
        """Enters `bits` over these rows, before they are told. limit: most bits of any row, in this account.

        again: whether to enter them though this job was charged as much for the same of the same rows before.

        Raises PolicyError, whose public text has no number, when a row would have been told more of.
        """
        self.charge_all(job, [Due(table, what, bits, again, cheaper)], limit, account)

    def charge_all(self, job: str, dues: Sequence[Due], limit: float, account: Account = LABELS) -> None:
        """As `charge`, of each of these one after another: where one is refused, none is entered."""
        with self._open() as book:
            book.execute("begin immediate")
            for due in dues:
                self._charge(book, job, due, limit, account)

    def check_all(self, job: str, dues: Sequence[Due], limit: float, account: Account = LABELS) -> None:
        """Raises PolicyError if `charge_all` would; nothing is entered."""
        with suppress(_Undone), self._open() as book:
            for due in dues:
                self._charge(book, job, due, limit, account)
            raise _Undone

    @staticmethod
    def _charge(book: sqlite3.Connection, job: str, due: Due, limit: float, account: Account) -> None:
        rows, what, bits, cheaper = distinct(row_keys(due.table)), due.what, due.bits, due.cheaper
        digest = blake2b(rows.data, digest_size=32).digest()
        if not due.again and book.execute(_SAME.format(account.table), (job, what, bits, digest)).fetchone():
            return
        spent = float(_spent(rows, _sets(book, account)).max(initial=0.0))
        price = bits / max(1, len(rows))
        if spent + price > limit:
            raise PolicyError(
                f"{what} would tell {bits:.1f} bits of the labels of {len(rows)} rows, {price:.4f} of each, and up to"
                f" {spent:.4f} of one are told already",
                expected=f"at most {limit} of each ({account.key})",
                got=f"{spent + price:.4f}",
                remedy=account.remedy if cheaper is None else cheaper.remedy,
                public=account.public,
                local="" if cheaper is None else cheaper.fitting(max(0.0, limit - spent) * len(rows)),
            )
        new = "insert or ignore into sets (digest, rows) values (?, zeroblob(?))"
        made = book.execute(new, (digest, first_bytes(rows.nbytes)))
        ((number,),) = book.execute("select number from sets where digest = ?", (digest,))
        if made.rowcount:
            write_blob(book, "sets", "rows", number, rows.nbytes, [rows])
        book.execute(f"insert into {account.table} values (?, ?, ?, ?)", (job, what, bits, number))  # noqa: S608

    def standing(self, limit: float, account: Account = LABELS) -> Standing:
        """What has been told by now. limit: most bits of any row."""
        with self._open() as book:
            charges = tuple(Charge(*row) for row in book.execute(_CHARGES.format(account.table)))
            numbers = [number for _, number, _ in book.execute(_SETS.format(account.table)).fetchall()]
            words = [read_words(book, "sets", "rows", number) for number in numbers]
            every = distinct(np.concatenate([np.empty(0, np.uint64), *words]))
            return Standing(account.of, account.key, limit, _spent(every, _sets(book, account)), charges)


def _sets(book: sqlite3.Connection, account: Account) -> Iterator[tuple[float, Ascending]]:
    """Bits of a row of each set, and its rows."""
    for bits, number, count in book.execute(_SETS.format(account.table)).fetchall():
        with closing(read_rows(book, "sets", "rows", number, 1)) as rows:
            yield bits / max(1, count), Ascending(rows)


def _spent(rows: Keys, sets: Iterable[tuple[float, Ascending]]) -> Reals:
    """Bits of each of `rows`, (n,), which are distinct and ascending."""
    spent = np.zeros(len(rows))
    for price, of in sets:
        for low in range(0, len(rows), _SOME):
            part = rows[low : low + _SOME]
            spent[low : low + _SOME][are_in(part, of.up_to(int(part[-1]))[:, 0])] += price
    return spent
