"""Two trainings are about the same rows, or about sets that differ in many."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PolicyError
from common.home import setbook
from common.home.rowsets import row_keys
from common.home.setbook import SetBook
from common.rows.table import FeatureTable
from tests.common.disk.values import LONGEST, shorten
from tests.common.stages.tables import table


def firms(low: int, high: int) -> FeatureTable:
    return table([f"F{k}" for k in range(low, high)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sets.sqlite"


@pytest.fixture(autouse=True, params=[1 << 16, 8], ids=["at once", "run by run"])
def some(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows above which a set is compared run by run, as it is written."""
    monkeypatch.setattr(setbook, "_SOME", request.param)


def refused(file: Path, rows: FeatureTable, differ: int = 100) -> bool:
    try:
        SetBook(file).enter(rows, "job", differ)
    except PolicyError:
        return True
    return False


@pytest.mark.parametrize("rows", [300, 20_000], ids=["small", "beyond what is looked at first"])
def test_a_set_that_differs_by_1_to_99_rows_is_refused_and_the_same_set_is_not(file: Path, rows: int) -> None:
    assert not refused(file, firms(0, rows))
    assert not refused(file, firms(0, rows)), "the same again"
    for few in (1, 2, 50, 99):
        assert refused(file, firms(0, rows - few)) and refused(file, firms(0, rows + few)), few
    assert refused(file, firms(49, rows + 50)), "49 gone and 50 new"
    assert not refused(file, firms(50, rows + 50)), "50 gone and 50 new"
    assert not refused(file, firms(0, rows + 100))
    assert refused(file, firms(0, rows + 101)), "close to the one before"


def test_a_set_longer_than_a_value_of_sqlite_is_kept_and_compared_exactly(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = LONGEST // 16  # of 16 bytes each: with what else is in the row, too many
    with monkeypatch.context() as whole:
        shorten(whole, most=1 << 30)
        with pytest.raises(sqlite3.DataError):
            SetBook(file).enter(firms(0, rows), "job", 100)
    shorten(monkeypatch)
    for count in (1875, 1876, rows, 20_000):  # pieces of 30,004 bytes: one, two of which the last has 12, four, eleven
        assert not refused(file, firms(0, count), 1), count
    assert refused(file, firms(0, 19_950)) and refused(file, firms(49, 20_050)), "of the last pieces too"
    assert not refused(file, firms(0, 20_000), 1), "the same again"
    with closing(sqlite3.connect(file)) as book:
        assert book.execute("select count(*), max(length(rows)) from sets").fetchone() == (4, 30_004)


def test_what_was_refused_is_no_earlier_set(file: Path) -> None:
    assert not refused(file, firms(0, 1000))
    assert refused(file, firms(0, 950))
    assert not refused(file, firms(0, 900))


def test_the_order_of_rows_says_nothing(file: Path) -> None:
    assert not refused(file, table(["A", "A", "B"], [1, 2, 1]), 2)
    assert not refused(file, table(["B", "A", "A"], [1, 2, 1]), 2)


def test_a_book_has_a_pair_of_hashes_a_row_as_it_always_had(file: Path) -> None:
    """So that what was entered by an earlier release is known again, whether rows are months or not."""
    for rows in (firms(0, 5000), table(["A", "A", "B"], [1, 2, 1]), months(range(900), 7)):
        SetBook(file).enter(rows, "job", 2)
        hashes, first = np.unique(row_keys(rows), return_index=True)
        own = row_keys(table(rows.ids.tolist()))[first]
        with closing(sqlite3.connect(file)) as book:
            least, whole = book.execute("select least, rows from sets order by rowid desc").fetchone()
        assert whole == np.column_stack([hashes, own]).tobytes() and least == whole[: 4096 * 16]


def test_no_set_is_held_as_a_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a hash a row, and two marks, there is one of 32 runs of the set asked for, and of each that is like it."""
    monkeypatch.setattr(setbook, "_SOME", 1 << 12)

    def peak(rows: FeatureTable) -> int:
        tracemalloc.start()
        SetBook(file).enter(rows, "job", 100)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for last in (20, 21):  # the same set again is compared with itself, and with one of other months
        few, many = months(range(5000), last), months(range(10_000, 25_000), last)
        first = peak(few), peak(many)
        again = peak(few), peak(many)
        for small, large in (first, again):
            assert large - small < 12 * (many.rows - few.rows)


def months(firms: range, last: int) -> FeatureTable:
    rows = [(f"F{k}", month) for k in firms for month in range(24_300, 24_300 + last)]
    return table([name for name, _ in rows], [month for _, month in rows])


@pytest.mark.parametrize("firms", [40, 300], ids=["small", "beyond what is looked at first"])
def test_differences_are_counted_by_enterprise_however_many_months_one_has(file: Path, firms: int) -> None:
    assert not refused(file, months(range(firms), 20), 10)
    assert refused(file, months(range(1, firms), 20), 10), "one enterprise, and 20 rows"
    assert refused(file, months(range(9, firms), 20), 10)
    assert not refused(file, months(range(10, firms), 20), 10)
    assert not refused(file, months(range(firms), 21), 10), "the next month, of the same enterprises and more rows"


def test_the_same_enterprises_with_and_without_their_months_are_held_against_each_other(file: Path) -> None:
    assert not refused(file, firms(0, 300))
    assert refused(file, months(range(1, 300), 1))
    assert not refused(file, months(range(300), 1)), "the same enterprises"
    assert refused(file, firms(0, 299))


@pytest.mark.untraced
@settings(max_examples=60, deadline=None)
@given(
    sets=st.lists(st.sets(st.tuples(st.integers(0, 7), st.integers(1, 3)), min_size=1), min_size=1, max_size=6),
    differ=st.integers(1, 6),
)
def test_as_by_comparing_every_pair(
    sets: list[set[tuple[int, int]]], differ: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file, kept = tmp_path_factory.mktemp("sets") / "sets.sqlite", list[set[tuple[int, int]]]()
    for rows in sets:
        bad = any(0 < len({firm for firm, _ in rows ^ other}) < differ for other in kept)
        asked = table([f"F{firm}" for firm, _ in rows], [month for _, month in rows])
        assert refused(file, asked, differ) == bad
        if not bad:
            kept.append(rows)


def test_sets_of_many_earlier_trainings_are_not_read_into_memory_together(file: Path) -> None:
    SetBook(file).enter(firms(0, 5_000), "job", 100)
    with closing(sqlite3.connect(file)) as book, book:
        for _ in range(400):  # others, of 64 KiB each
            few = np.sort(np.random.default_rng(1).integers(0, 2**63, (setbook._LEAST, 2), np.uint64), axis=0)
            book.execute("insert into sets values ('job', 0, ?, zeroblob(16))", (few.tobytes(),))
    tracemalloc.start()
    try:
        SetBook(file).enter(firms(0, 5_000), "again", 100)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
