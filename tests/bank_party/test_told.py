"""The bank's book of bits told: a row's price over all jobs, whatever sets it was in, and nothing of it lost or left out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank_party import told
from bank_party.told import ToldBook
from common.errors import PolicyError
from common.home.standing import Charge
from tests.common.disk.values import LONGEST, shorten
from tests.common.stages.tables import table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "told.sqlite"


@pytest.fixture(autouse=True, params=[1 << 18, 3], ids=["at once", "some at a time"])
def some(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_SOME", request.param)


def test_bits_are_shared_by_the_rows_they_are_of(file: Path) -> None:
    book = ToldBook(file)
    book.charge(table(["A", "B", "C", "D"]), "job-1", "counts", 2.0, 0.5)
    book.charge(table(["A", "E"]), "job-2", "flags", 0.5, 0.75)
    found = book.standing(0.8)
    assert sorted(found.spent.tolist()) == [0.25, 0.5, 0.5, 0.5, 0.75]
    assert found.charges == (Charge("job-1", "counts", 2.0, 4), Charge("job-2", "flags", 0.5, 2))
    assert (found.key, found.most, found.left) == ("label_bits", 0.75, pytest.approx(0.05))
    assert book.knows("job-1") and not book.knows("job-3")


def test_a_refusal_has_its_numbers_for_the_bank_alone_and_leaves_no_trace(file: Path) -> None:
    book = ToldBook(file)
    book.charge(table(["A", "B"]), "job-1", "counts", 0.15, 0.1)
    with pytest.raises(PolicyError) as caught:
        ToldBook(file).charge(table(["B", "C"]), "job-2", "the grid's weights", 0.1, 0.1)
    assert "0.0750 of one are told already" in str(caught.value) and "label_bits" in str(caught.value)
    assert not any(figure in caught.value.public + caught.value.remedy for figure in "0123456789")
    book.charge(table(["C"]), "job-3", "flags", 0.1, 0.1)  # nothing of the refused one was entered
    with pytest.raises(PolicyError):
        book.charge(table(["C"]), "job-3", "flags", 0.01, 0.1)  # the same job again is not free


def test_a_row_twice_is_one_and_months_are_rows(file: Path) -> None:
    book = ToldBook(file)
    book.charge(table(["A", "A", "A"], [1, 2, 2]), "job-1", "flags", 1.0, 0.5)
    assert book.standing(1.0).spent.tolist() == [0.5, 0.5]


def test_a_set_of_rows_is_kept_once(file: Path) -> None:
    book, rows = ToldBook(file), table([f"F{k}" for k in range(2000)])
    book.charge(rows, "job-1", "flags", 1.0, 1.0)
    size = file.stat().st_size
    for k in range(20):
        book.charge(rows, f"job-{k}", "flags", 1.0, 1.0)
    assert file.stat().st_size < 1.3 * size and book.standing(1.0).most == pytest.approx(21 / 2000)


def test_a_set_longer_than_a_value_of_sqlite_is_charged_and_counted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = LONGEST // 8
    rows = table([f"F{k}" for k in range(count)])
    with monkeypatch.context() as whole:
        shorten(whole, most=1 << 30)
        with pytest.raises(sqlite3.DataError):
            ToldBook(file).charge(rows, "job-1", "flags", count, 2.0)
    shorten(monkeypatch)
    book = ToldBook(file)
    book.charge(rows, "job-1", "flags", count, 2.0)
    book.charge(table([f"F{k}" for k in range(count - 5, count + 5)]), "job-2", "flags", 5.0, 2.0)
    found = book.standing(2.0)
    assert found.charges == (Charge("job-1", "flags", count, count), Charge("job-2", "flags", 5.0, 10))
    assert (found.spent == 1.5).sum() == 5 and (found.spent == 1.0).sum() == count - 5 and (found.spent == 0.5).sum() == 5
    with pytest.raises(PolicyError):
        book.charge(rows, "job-3", "flags", 0.6 * count, 2.0)


def test_nothing_in_clear(file: Path) -> None:
    ToldBook(file).charge(table(["ENTERPRISE-42"]), "job-1", "flags", 0.1, 1.0)
    assert b"ENTERPRISE" not in file.read_bytes()


JOBS = st.lists(st.tuples(st.sets(st.sampled_from("ABCDEFGH"), min_size=1), st.floats(0.0, 4.0)), max_size=12)


@pytest.mark.untraced
@settings(max_examples=40)
@given(jobs=JOBS)
def test_no_rows_sum_exceeds_the_limit_and_none_within_it_is_refused(
    jobs: list[tuple[set[str], float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    book, spent = ToldBook(tmp_path_factory.mktemp("told") / "told.sqlite"), dict.fromkeys("ABCDEFGH", 0.0)
    for k, (rows, bits) in enumerate(jobs):
        price = max(spent[row] for row in rows) + bits / len(rows)
        if abs(price - 1.0) < 1e-9:
            continue  # which way a sum is rounded is nobody's concern
        fits = price <= 1.0
        try:
            book.charge(table(sorted(rows)), f"job-{k}", "any", bits, 1.0)
            assert fits
            for row in rows:
                spent[row] += bits / len(rows)
        except PolicyError:
            assert not fits
    told = [value for value in spent.values() if value]
    np.testing.assert_allclose(sorted(v for v in book.standing(1.0).spent if v), sorted(told))
