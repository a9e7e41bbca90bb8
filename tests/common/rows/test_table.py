"""Columns side by side hold what columns by themselves do, whatever is taken of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.disk.scratch import Scratch
from common.rows.table import Abreast, Columns, FeatureTable, Ids

ROWS = 300


def table() -> FeatureTable:
    draw = np.random.default_rng(1)
    numeric = Columns({name: draw.normal(size=ROWS) for name in ("use", "debt", "age")})
    kinds = draw.choice(np.array(["mill", "shop", None], object), ROWS)
    ids = Ids.of([f"E{k}" for k in range(ROWS)])
    return FeatureTable(
        ids, np.arange(ROWS, dtype=np.int32), numeric, {"kind": kinds}, np.ones(ROWS), ("use", "kind", "debt", "age")
    )


def same(one: FeatureTable, other: FeatureTable) -> bool:
    assert list(one.numeric) == list(other.numeric) and one.order == other.order and list(one.ids) == list(other.ids)
    assert one.periods is not None and other.periods is not None and np.array_equal(one.periods, other.periods)
    alike = all(np.array_equal(one.numeric[name], other.numeric[name]) for name in one.numeric)
    return alike and one.categorical["kind"].tolist() == other.categorical["kind"].tolist()


@pytest.mark.parametrize("at", [[7], [299, 0, 0, 5], [], [*range(0, ROWS, 2)]], ids=["one", "few", "none", "many"])
def test_rows_that_are_taken_are_those_of_columns_by_themselves(at: list[int]) -> None:
    rows, whole = np.array(at, np.int64), table()
    beside = table().abreast(Scratch())
    assert isinstance(beside.numeric, Abreast) and len(beside.numeric) == 3 and "kind" not in beside.numeric
    for scratch in (None, Scratch()):
        assert same(beside.take(rows, scratch), whole.take(rows, scratch))
    assert same(beside.part(3, 9), whole.part(3, 9)) and same(beside.abreast(Scratch()), whole)
    assert isinstance(beside.take(rows).numeric, Abreast) and same(beside.move(rows, Scratch()), whole.take(rows))


def test_the_table_before_holds_no_numeric_column_any_more() -> None:
    before = table()
    after = before.abreast(Scratch())
    assert not len(before.numeric) and same(after, table())


def test_columns_in_a_file_stay_there_and_so_do_those_that_do_not_fit_twice(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 0)
    stored = replace(table(), categorical={}).take(np.arange(ROWS), scratch)
    assert stored.abreast(Scratch()) is stored
    whole = table()
    assert whole.abreast(scratch) is whole and len(whole.numeric) == 3  # there is no room


def test_a_column_that_is_not_there_is_none() -> None:
    with pytest.raises(KeyError, match="loans"):
        replace(table(), categorical={}).abreast(Scratch()).numeric["loans"]
