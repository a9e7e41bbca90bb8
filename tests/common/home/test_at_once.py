"""Books and folders that two processes or sessions use at one moment: each finds what the other has left whole."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bank_party.pipeline.book import RunBook, Step
from bank_party.told import _VERSION, ToldBook
from common.disk.book import _check_version
from common.home.rates import Rates
from common.home.registry import Registry, Stage
from common.home.stock import StockFile
from common.home.stocks import Stocks
from common.monitor import book as monitor
from common.monitor.book import Book
from common.plan.promote import PromotePlan
from tests.common.home.test_stocks import file, opened, store

_WINDOW = 0.5  # seconds that another has to come between: one that is kept out waits for longer


@contextmanager
def between(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, other: Callable[[], None]) -> Iterator[None]:
    """Within it the first call of `name` has `other` begin in a thread, and goes on once that is done or is kept waiting."""
    real, begun = getattr(of, name), list[threading.Thread]()

    def called(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        if not begun:
            begun.append(threading.Thread(target=other))
            begun[0].start()
            begun[0].join(_WINDOW)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(of, name, called)
        yield
    assert begun, f"{name} was not called"
    begun[0].join()


def test_two_reports_at_once_are_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, other, found = Book(tmp_path / "monitor.sqlite"), Book(tmp_path / "monitor.sqlite"), list[int]()
    assert book.look({"score-1": b"a", "score-2": b"a"}) == 1
    with between(monkeypatch, monitor, "_rows", lambda: found.append(other.look({"score-3": b"c"}))):
        found.append(book.look({"score-1": b"b", "score-2": b"b"}))
    assert sorted(found) == [2, 3]
    assert sorted(map(book.looked, found), key=len) == [{"score-3": b"c"}, {"score-1": b"b", "score-2": b"b"}]


def test_a_move_that_is_dropped_while_it_is_committed_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Registry(tmp_path / "registry.sqlite", lambda: 1.0)
    for job in ("a", "b"):
        book.enter(job, job, job, job)
        book.prepare(f"move-{job}", PromotePlan(model=job), job, anew=False)
        if job == "a":
            book.commit()
    with between(monkeypatch, Registry, "_read", Registry(tmp_path / "registry.sqlite").drop):
        book.commit()
    assert book.champion == "b" and book.prepared() is None
    assert {v.job: v.stage for v in book.versions()} == {"a": Stage.RETIRED, "b": Stage.CHAMPION}


def test_a_move_that_is_prepared_while_another_counts_follows_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, other = Registry(tmp_path / "registry.sqlite", lambda: 1.0), Registry(tmp_path / "registry.sqlite")
    for job in ("a", "b"):
        book.enter(job, job, job, job)

    def moved() -> None:
        other.prepare("move-a", PromotePlan(model="a"), "a", anew=False)
        other.commit()

    moved()
    before = book.position
    with between(monkeypatch, Registry, "_read", moved):
        book.prepare("move-b", PromotePlan(model="b"), "b", anew=False)
    # the other's move came after, and took the place of this one, which was prepared behind what counted then
    assert [move.job for move in book.moves()] == ["move-a", "move-a"] and book.prepared() is None
    assert book.position != before


def test_books_that_two_processes_open_first_hold_one_secret_and_one_count(tmp_path: Path) -> None:
    secrets, barrier = set[bytes](), threading.Barrier(8)

    def opened() -> None:
        barrier.wait()
        secrets.add(ToldBook(tmp_path / "told.sqlite").secret())
        Rates(tmp_path / "rates.sqlite", "bank-party").close()

    threads = [threading.Thread(target=opened) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 1
    for name, table in (("told", "secret"), ("rates", "counted")):
        with closing(sqlite3.connect(tmp_path / f"{name}.sqlite")) as book:
            assert book.execute(f"select count(*) from {table}").fetchone() == (1,)


def test_a_book_that_another_process_begins_while_its_number_is_looked_at_is_this_ones(tmp_path: Path) -> None:
    class Slow(sqlite3.Connection):
        def execute(self, statement: str, *given: Any) -> Any:
            rows = super().execute(statement, *given).fetchall()  # read to the end: it keeps nobody out
            if statement == "pragma user_version" and not begun:
                begun.append(ToldBook(tmp_path / "told.sqlite"))
            return SimpleNamespace(fetchone=lambda: rows[0] if rows else None)

    begun, file = list[ToldBook](), tmp_path / "told.sqlite"
    with closing(sqlite3.connect(file, factory=Slow)) as book:
        _check_version(book, file, _VERSION, "")
        assert begun and book.execute("select count(*) from secret").fetchone() == (1,)


def test_jobs_of_two_parts_of_a_step_are_both_kept(tmp_path: Path) -> None:
    book = RunBook(tmp_path / "runs.sqlite")
    book.begin("run-1", "monthly", "by hand", [], "{}")
    taken = book.start("run-1", Step.TRAIN)
    for part, job in (("first", "train-1"), ('the "second"', "train-2")):
        book.name_job(taken, part, job)  # by what each has seen before
    assert book.start("run-1", Step.TRAIN).jobs == {"first": "train-1", 'the "second"': "train-2"}


@pytest.mark.parametrize("when", ["listed", "looked at"])
def test_a_stock_that_is_spent_while_others_list_it_stops_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    shelf, other = opened(tmp_path), opened(tmp_path)
    for name in ("predeal-1", "predeal-2"):
        store(shelf, name)
    label = shelf.unspent()[0]
    if when == "listed":
        found = shelf._files()
        monkeypatch.setattr(shelf, "_files", lambda: found)
        other.spend(label).close()
    else:
        spent = list[str]()

        def usable(path: Path) -> Any:
            if not spent:
                spent.append(label.name)
                other.spend(label).close()
            return Stocks._usable(shelf, path)

        monkeypatch.setattr(shelf, "_usable", usable)
    assert [one.name for one in shelf.unspent()] == ["predeal-2"] == [one.label.name for one in shelf.held()]


def test_a_stock_that_others_clear_away_while_it_is_spent_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, other = opened(tmp_path), opened(tmp_path)
    seed, erase = store(shelf), StockFile.erase

    def erased(self: StockFile) -> None:
        erase(self)
        assert other.unspent() == [] and not file(tmp_path).exists()  # one whose seed is erased is removed

    (label,) = shelf.unspent()
    monkeypatch.setattr(StockFile, "erase", erased)
    found = shelf.spend(label)
    assert found.seed == seed
    found.close()
