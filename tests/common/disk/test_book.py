"""A book: private, all of a block or none of it, and which books outlast a power cut."""

from __future__ import annotations

import ast
import hashlib
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import pytest

from bank_party.online.book import AnswerBook
from bank_party.online.shadow import ShadowBook
from bank_party.online.suspects import SuspectBook
from bank_party.pipeline.book import RunBook
from bank_party.told import ToldBook
from common.coordinator.journal import Journal
from common.disk.book import KeptBook, committed_together, once_committed, open_book
from common.errors import ConfigError
from common.home.approvals import Approvals
from common.home.audit import AuditLog
from common.home.jobbook import JobBook
from common.home.rates import Rates
from common.home.registry import Registry
from common.home.seedbook import SeedBook
from common.home.setbook import SetBook
from common.home.stocks import Stocks
from common.monitor.book import Book
from common.web.login import Tickets
from grid_party.ledger import Ledger
from tests.malloc import asks_glibc, in_use
from tests.patience import patience
from tests.source import ROOT, parse

EXTRA, FULL = 3, 2  # pragma synchronous
DURABLE = {
    "bank_party/online/book.py",
    "bank_party/online/suspects.py",
    "bank_party/pipeline/book.py",
    "bank_party/told.py",
    "common/home/approvals.py",
    "common/home/audit.py",
    "common/home/registry.py",
    "common/home/rowbook.py",
    "common/home/rates.py",
    "common/home/seedbook.py",
    "common/home/setbook.py",
    "common/home/stocks.py",
}
"""Books in which something is entered that the other party acts on, or that leaves, right after."""


def synchronous(file: Path, *, durable: bool) -> int:
    with open_book(file, durable=durable) as book:
        return int(book.execute("pragma synchronous").fetchone()[0])


def test_a_durable_book_waits_for_its_folder_as_well(tmp_path: Path) -> None:
    assert synchronous(tmp_path / "a", durable=True) == EXTRA
    assert synchronous(tmp_path / "a", durable=False) == FULL


def test_a_new_book_and_its_folder_are_for_their_owner(tmp_path: Path) -> None:
    with open_book(tmp_path / "var" / "book") as book:
        book.execute("create table t (x)")
    found = tmp_path / "var" / "book"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (found.parent, found)] == [0o700, 0o600]


def test_a_block_is_kept_if_it_ends_well(tmp_path: Path) -> None:
    with open_book(tmp_path / "book") as book:
        book.execute("create table t (x)")
    with pytest.raises(RuntimeError), open_book(tmp_path / "book") as book:
        book.execute("insert into t values (1)")
        raise RuntimeError
    with open_book(tmp_path / "book") as book:
        assert book.execute("select * from t").fetchall() == []
        book.execute("insert into t values (2)")
    with pytest.raises(sqlite3.ProgrammingError):
        book.execute("select 1")
    with open_book(tmp_path / "book") as book:
        assert book.execute("select * from t").fetchall() == [(2,)]


def test_what_must_outlast_a_power_cut_is_opened_so_and_nobody_opens_a_book_otherwise() -> None:
    calls: dict[str, list[bool]] = {}
    for file in (f for p in ("common", "grid_party", "bank_party", "wattscore") for f in (ROOT / p).rglob("*.py")):
        for node in (node for node in ast.walk(parse(file)) if isinstance(node, ast.Call)):
            name = str(file.relative_to(ROOT))
            if isinstance(node.func, ast.Name) and node.func.id == "open_book":
                calls.setdefault(name, []).append(any(k.arg == "durable" for k in node.keywords))
            if isinstance(node.func, ast.Name) and node.func.id == "KeptBook":
                calls.setdefault(name, []).append(True)
            if isinstance(node.func, ast.Attribute) and node.func.attr == "connect" and name != "common/disk/book.py":
                assert not (isinstance(node.func.value, ast.Name) and node.func.value.id == "sqlite3"), name
    assert {name for name, found in calls.items() if all(found)} == DURABLE
    assert calls.keys() - DURABLE == {
        "bank_party/online/shadow.py",
        "common/monitor/book.py",
        "common/coordinator/journal.py",
        "common/home/jobbook.py",
        "common/web/login.py",
    }
    assert calls.keys() == BOOKS.keys(), "and each is held to its version below"


def test_a_book_is_of_the_version_it_was_made_with_and_no_other_is_read(tmp_path: Path) -> None:
    file = tmp_path / "book"
    with open_book(file, version=2) as book:
        book.execute("create table t (x)")
    with open_book(file, version=2) as book:
        book.execute("insert into t values (1)")
    with (
        pytest.raises(ConfigError, match=r"a later version.*expected 1, got 2.*Install the release that wrote it"),
        open_book(file, version=1),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"an earlier version.*expected 3, got 2.*Do so"),
        open_book(file, version=3, remedy="Do so."),
    ):
        pass
    with open_book(file, version=2) as book:
        assert book.execute("select * from t").fetchall() == [(1,)]


BOOKS: dict[str, Callable[[Path], object]] = {
    "bank_party/online/book.py": lambda file: AnswerBook(file, 60.0),
    "bank_party/online/shadow.py": ShadowBook,
    "bank_party/online/suspects.py": lambda file: SuspectBook(file, "champion", 1),
    "bank_party/pipeline/book.py": RunBook,
    "bank_party/told.py": ToldBook,
    "common/coordinator/journal.py": Journal,
    "common/home/audit.py": AuditLog,
    "common/home/jobbook.py": JobBook,
    "common/home/rates.py": lambda file: Rates(file, "bank"),
    "common/home/approvals.py": lambda file: Approvals(file, 1, 7.0),
    "common/home/registry.py": Registry,
    "common/home/rowbook.py": Ledger,
    "common/home/seedbook.py": SeedBook,
    "common/home/setbook.py": SetBook,
    "common/home/stocks.py": lambda file: Stocks(file.parent / "stock", file, "dealer", 1),
    "common/monitor/book.py": Book,
    "common/web/login.py": Tickets,
}
"""A book of each module that keeps one."""


@pytest.mark.parametrize("make", BOOKS.values(), ids=BOOKS)
def test_every_book_of_a_later_release_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    file = tmp_path / "book"
    make(file)
    make(file)
    with closing(sqlite3.connect(file)) as book:
        assert book.execute("select count(*) from sqlite_master").fetchone()[0]
        book.execute("pragma user_version = 99")
    with pytest.raises(ConfigError, match="a later version"):
        make(file)


def test_a_kept_book_waits_for_the_disk_and_shows_others_what_was_committed(tmp_path: Path) -> None:
    kept = KeptBook(tmp_path / "var" / "book", version=2)
    with kept.open() as book:
        assert book.execute("pragma synchronous").fetchone() == (EXTRA,)
        assert book.execute("pragma journal_mode").fetchone() == ("wal",)
        book.execute("create table t (x)")
    with pytest.raises(RuntimeError), kept.open() as book:
        book.execute("insert into t values (1)")
        raise RuntimeError
    with kept.open() as book:
        book.execute("insert into t values (2)")
    with open_book(tmp_path / "var" / "book", version=2) as other:
        assert other.execute("select * from t").fetchall() == [(2,)]
    log = tmp_path / "var" / "book-wal"
    assert log.stat().st_size > 0 and stat.S_IMODE(log.stat().st_mode) == 0o600
    kept.close()
    assert not log.exists()
    with kept.open() as book:
        assert book.execute("select * from t").fetchall() == [(2,)]
    kept.close()


@asks_glibc
def test_a_kept_book_holds_little_of_what_was_written_in_memory(tmp_path: Path) -> None:
    """A daemon keeps several for months: SQLite's own cache of each grows to 2 MiB, a page or so at a job."""
    kept = KeptBook(tmp_path / "book")
    with kept.open() as book:
        book.execute("create table t (x blob primary key) without rowid")
    before = in_use()
    for number in range(60):
        with kept.open() as book:
            marks = (hashlib.sha256(b"%d" % place).digest() for place in range(1000 * number, 1000 * number + 1000))
            book.executemany("insert into t values (?)", ((mark,) for mark in marks))
    assert (tmp_path / "book").stat().st_size > 2 << 20
    assert in_use() - before < 1 << 20
    kept.close()


def test_a_kept_book_is_not_another_file_of_its_name(tmp_path: Path) -> None:
    """Of a book that was restored or deleted beside a process that runs, the log is not: together they would be neither."""
    kept = KeptBook(tmp_path / "book")
    with kept.open() as book:
        book.execute("create table t (x)")
    (tmp_path / "book").unlink()
    with pytest.raises(ConfigError, match=r"another file has taken the place.*remove book-wal and book-shm"), kept.open():
        pass


def rows_of(file: Path) -> list[int]:
    """As another process sees them."""
    with open_book(file) as book:
        return [x for (x,) in book.execute("select x from t")]


@pytest.fixture
def two(tmp_path: Path) -> list[KeptBook]:
    books = [KeptBook(tmp_path / name) for name in "ab"]
    for one in books:
        with one.open() as book:
            book.execute("create table t (x)")
    return books


def add(kept: KeptBook, value: int) -> None:
    with kept.open() as book:
        book.execute("insert into t values (?)", (value,))


def test_books_written_together_are_kept_at_the_end_of_the_block_and_not_before(two: list[KeptBook], tmp_path: Path) -> None:
    said = list[str]()
    with committed_together():
        for name, kept in zip("ab", two, strict=True):
            add(kept, 1)
            once_committed(lambda name=name: said.append(name))  # type: ignore[misc]
        add(two[0], 2)  # again, in the same block
        assert said == [] and rows_of(tmp_path / "a") == rows_of(tmp_path / "b") == []
    assert sorted(said) == ["a", "b"]
    assert (rows_of(tmp_path / "a"), rows_of(tmp_path / "b")) == ([1, 2], [1])
    once_committed(lambda: said.append("now"))
    assert said[-1] == "now"
    with two[0].open() as book:  # nobody holds it any more
        assert book.execute("select count(*) from t").fetchone() == (2,)


def test_two_books_written_together_wait_for_the_disk_at_the_same_time(
    two: list[KeptBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit goes on once the other has begun: one after the other, the first would wait for ever."""
    both, commit = threading.Barrier(2, timeout=patience(60)), KeptBook.commit

    def meet(kept: KeptBook, book: sqlite3.Connection) -> None:
        both.wait()
        commit(kept, book)

    monkeypatch.setattr(KeptBook, "commit", meet)
    with committed_together():
        for kept in two:
            add(kept, 1)
    assert both.broken is False


@pytest.mark.parametrize("swallowed", [True, False])
def test_nothing_of_books_written_together_is_kept_where_one_raises(
    two: list[KeptBook], tmp_path: Path, swallowed: bool
) -> None:
    said = list[int]()
    with pytest.raises(RuntimeError), committed_together():
        add(two[0], 1)
        once_committed(lambda: said.append(1))
        with suppress(RuntimeError) if swallowed else nullcontext(), two[1].open() as book:
            book.execute("insert into t values (1)")
            raise RuntimeError
    assert said == rows_of(tmp_path / "a") == rows_of(tmp_path / "b") == []
    add(two[0], 3)
    assert rows_of(tmp_path / "a") == [3]


def test_of_books_written_together_the_one_that_the_disk_refuses_is_told_and_the_other_is_known_to_be_kept(
    two: list[KeptBook], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, commit = list[str](), KeptBook.commit

    def refuse(kept: KeptBook, book: sqlite3.Connection) -> None:
        if kept is two[1]:
            book.rollback()
            raise OSError(28, "no space left", "b")
        commit(kept, book)

    monkeypatch.setattr(KeptBook, "commit", refuse)
    with pytest.raises(OSError, match="no space left"), committed_together():
        for name, kept in zip("ab", two, strict=True):
            add(kept, 1)
            once_committed(lambda name=name: said.append(name))  # type: ignore[misc]
    assert (said, rows_of(tmp_path / "a"), rows_of(tmp_path / "b")) == (["a"], [1], [])
