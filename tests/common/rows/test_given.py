"""Rows that come as values are those of a file that holds the same; what is wrong names row and column, and no value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.party import Party
from common.rows.dataset import read_table
from common.rows.declare import ColumnConfig, DatasetConfig
from common.rows.given import BadValue, Given

COLUMNS = {
    "income": ColumnConfig(kind="numeric", min=0.0, malformed="null"),
    "flag": ColumnConfig(kind="numeric"),
    "sector": ColumnConfig(kind="categorical"),
    "size": ColumnConfig(kind="categorical", categories=("S", "L"), malformed="null"),
}
STRICT = {
    "income": ColumnConfig(kind="numeric", min=0.0, max=10.0, missing="refuse"),
    "size": ColumnConfig(kind="categorical", categories=("S", "L"), missing="drop"),
}
numbers = st.one_of(st.none(), st.integers(-5, 10**6), st.floats(-1e9, 1e9), st.sampled_from([-9999, 0.1]))
rows = st.lists(
    st.fixed_dictionaries(
        {
            "income": numbers,
            "flag": st.one_of(st.none(), st.sampled_from([0, 1])),
            "sector": st.one_of(st.none(), st.sampled_from(["power", " power ", "Ａ", "NA", "-", "农业"])),
            "size": st.sampled_from([None, "S", "L", "XL"]),
        }
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(values=rows)
def test_they_are_read_as_a_file_of_them_is(values: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    ids, path = [f"E{k}" for k in range(len(values))], tmp_path_factory.mktemp("given") / "rows.parquet"
    frame = pd.DataFrame(values)
    frame = frame.assign(id=ids, income=frame["income"].astype(float), flag=frame["flag"].astype(float))
    frame.astype({"sector": "string", "size": "string"}).to_parquet(path)
    config = DatasetConfig(path=path, id="id", columns=COLUMNS, missing=("-9999", "-"))
    found = Given(COLUMNS, config.missing).table(ids, None, values)
    if (frame["income"].isna() | (frame["income"] < 0)).all() and (frame["income"] < 0).any():
        return  # a file of nothing but that is refused as a whole
    file = read_table(config, name="rows", party=Party.BANK).table
    assert found.ids.tolist() == file.ids.tolist() and found.periods is None
    for name in ("income", "flag"):
        np.testing.assert_array_equal(found.numeric[name], file.numeric[name])
    for name in ("sector", "size"):
        assert found.categorical[name].tolist() == file.categorical[name].tolist()


def test_truth_is_one_and_months_stay() -> None:
    row = {"income": 3, "flag": True, "sector": "power", "size": "S"}
    table = Given(COLUMNS).table(["A", "B"], [24305, 24306], [row, {**row, "flag": False}])
    assert (
        table.numeric["flag"].tolist() == [1.0, 0.0] and table.periods is not None and table.periods.tolist() == [24305, 24306]
    )


@pytest.mark.parametrize(
    ("changed", "column", "what"),
    [
        ({"loan": 1}, "loan", "no such column"),
        ({"income": "3"}, "income", "not a number"),
        ({"income": math.nan}, "income", "not a number"),
        ({"income": math.inf}, "income", "not a number"),
        ({"income": 10**400}, "income", "not a number"),
        ({"income": [3]}, "income", "not a number"),
        ({"income": 11}, "income", "range"),
        ({"income": None}, "income", "missing"),
        ({"size": 3}, "size", "not text"),
        ({"size": "XL"}, "size", "not a declared category"),
        ({"size": None}, "size", "missing"),
        ({"size": ...}, "size", "lacking"),
    ],
)
def test_what_is_wrong_names_row_and_column_and_no_value(changed: dict[str, Any], column: str, what: str) -> None:
    good = {"income": 3.0, "size": "S"}
    bad = {name: value for name, value in {**good, **changed}.items() if value is not ...}
    with pytest.raises(BadValue, match=what) as caught:
        Given(STRICT).table(["A", "B"], None, [good, bad])
    assert (caught.value.row, caught.value.column) == (1, column) and caught.value.remedy
    assert "XL" not in str(caught.value)
