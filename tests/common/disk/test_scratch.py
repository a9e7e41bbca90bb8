"""Arrays in nameless files read and write as arrays in memory do, and memory is what the budget says."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disk.scratch import Scratch, Stored
from common.rows.table import Coded, Columns, FeatureTable, Ids


@given(data=st.data(), rows=st.integers(1, 50), columns=st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_slices_are_those_of_an_array(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: int, columns: int
) -> None:
    shape = (rows, columns) if columns else (rows,)
    stored, array = Stored(tmp_path_factory.getbasetemp(), shape, np.int32), np.zeros(shape, np.int32)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    for _ in range(4):
        low, high = sorted(data.draw(st.tuples(st.integers(0, rows), st.integers(0, rows))))
        values = rng.integers(-100, 100, array[low:high].shape)
        stored[low:high] = values
        array[low:high] = values
        np.testing.assert_array_equal(stored[low:high], array[low:high])
        np.testing.assert_array_equal(stored[:], array)
    assert stored.shape == array.shape
    assert len(stored) == rows
    assert stored.nbytes == array.nbytes


def test_a_budget_is_given_out_and_given_back(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 1000)
    first = scratch.empty((100,), np.float64)
    second = scratch.empty((100,), np.float64)
    assert isinstance(first, np.ndarray)
    assert isinstance(second, Stored)
    assert not scratch.fits(800)
    del first
    gc.collect()
    assert scratch.fits(1000)
    assert isinstance(scratch.keep(np.ones(100)), np.ndarray)
    kept = scratch.keep(np.full(1000, 7.0))
    assert isinstance(kept, Stored)
    assert (kept[:] == 7.0).all()


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    stored = Scratch(tmp_path / "scratch", 0).keep(np.arange(10))
    assert stored[2:4].tolist() == [2, 3]
    assert list((tmp_path / "scratch").iterdir()) == []  # it never had a name: a killed process leaves nothing either


def test_what_a_file_lacks_is_not_made_up(tmp_path: Path) -> None:
    stored = Stored(tmp_path, (10,), np.int32)
    stored._file.truncate(8)
    with pytest.raises(OSError, match="shorter"):
        stored[:]


def test_a_table_in_files_is_the_table_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    levels = np.array(["a", "b", None], object)
    codes = rng.integers(0, 3, 40).astype(np.int32)
    numbers, order = rng.normal(size=40), rng.permutation(40)[:25]
    table = FeatureTable(
        Ids.of([f"F{k // 2}" for k in range(40)]),
        None,
        Columns({"x": numbers}),
        Columns({"c": Coded(codes, levels)}),
        order=("x", "c"),
    )
    taken = table.take(order, Scratch(tmp_path, 0))
    assert isinstance(taken.numeric, Columns)
    assert isinstance(taken.numeric.held["x"], Stored)
    part = taken.part(5, 20)
    assert part.ids.tolist() == [f"F{k // 2}" for k in order[5:20]]
    np.testing.assert_array_equal(part.numeric["x"], numbers[order][5:20])
    np.testing.assert_array_equal(part.categorical["c"], levels[codes[order]][5:20])
    assert part.order == ("x", "c")
    moved = table.move(order, Scratch(tmp_path, 0))
    assert moved.ids.tolist() == taken.ids.tolist() and moved.order == ("x", "c")
    np.testing.assert_array_equal(moved.numeric["x"], taken.numeric["x"])
    np.testing.assert_array_equal(moved.categorical["c"], taken.categorical["c"])
    assert not table.numeric and not table.categorical


def test_columns_that_move_never_take_the_room_of_two_tables(tmp_path: Path) -> None:
    columns, scratch = 4, Scratch(tmp_path, 5 * 8000)
    held = {f"x{k}": scratch.keep(np.arange(1000.0) + k) for k in range(columns)}
    table = FeatureTable(Ids.of([f"F{k}" for k in range(1000)]), None, Columns(held), Columns({}))
    del held
    moved = table.move(np.arange(1000)[::-1], scratch)
    assert isinstance(moved.numeric, Columns)
    assert all(isinstance(values, np.ndarray) for values in moved.numeric.held.values())
    np.testing.assert_array_equal(moved.numeric["x3"], np.arange(1000.0)[::-1] + 3)
