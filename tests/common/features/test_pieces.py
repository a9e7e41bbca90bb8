"""Pieces of a column: which there are, what they are worth, how many rows allow, and what they must not look at."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.errors import DataError
from common.features.column import FittedColumn
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.features.pieces import room, within
from tests.common.features.test_fit import configs, table

AUTO = Preparation(coding="auto")
N, TRAIN_ROWS = 4000, 3000
TRAIN = np.arange(N) < TRAIN_ROWS
SHY = np.sqrt(TRAIN_ROWS / 1e6)
Vector = npt.NDArray[np.float64]


def fitted(options: Preparation = AUTO, most: int = 1000, columns: Any = None, **values: Any) -> FittedPreparation:
    data = table(**values)
    return fit(data, columns or configs(data), options, TRAIN[: data.rows], (), most)[0]


def normal(seed: int = 0) -> Vector:
    return np.random.default_rng(seed).normal(size=N)


def test_a_smooth_column_is_a_line_and_hinges_at_its_quartiles_which_weigh_less() -> None:
    x = normal()
    made = fitted(x=x)
    lows = np.quantile(x[TRAIN], [0.5, 0.25, 0.75], method="inverted_cdf")
    assert made.columns == ("x", *(f"x>{q:.12g}" for q in lows))
    matrix = made.transform(table(x=x))
    for j, knot in enumerate(lows, start=1):
        hinge = np.maximum(np.clip((x - x[TRAIN].mean()) / x[TRAIN].std(), -4, 4), (knot - x[TRAIN].mean()) / x[TRAIN].std())
        hinge = (hinge - hinge[TRAIN].mean()) / hinge[TRAIN].std() * SHY
        np.testing.assert_allclose(matrix[:, j], hinge, atol=1e-9)


def test_values_that_many_rows_have_get_an_indicator_the_most_frequent_first_and_others_none() -> None:
    x = np.exp(normal())
    x[::2], x[1::10], x[3::100] = 0.0, 7.0, 9.0  # half of the rows, a tenth, a hundredth
    made = fitted(x=x)
    assert made.columns[:3] == ("x", "x=0", "x=7")
    assert not [name for name in made.columns if name == "x=9"]
    matrix = made.transform(table(x=x))
    for j, value in ((1, 0.0), (2, 7.0)):
        ones = (x == value).astype(float)
        np.testing.assert_allclose(matrix[:, j], (ones - ones[TRAIN].mean()) / ones[TRAIN].std() * SHY, atol=1e-9)


@pytest.mark.parametrize(("rows", "has"), [(49, False), (50, True)])
def test_a_value_of_fewer_rows_than_a_bin_may_have_gets_no_indicator(rows: int, has: bool) -> None:
    x = normal()[:500]
    train = np.arange(500) < 500
    x[:rows] = 9.0  # a tenth of the rows, more than the share that is frequent
    made = fit(table(x=x), configs(table(x=x)), AUTO, train, (), 100)[0]
    assert ("x=9" in made.columns) is has


def test_missing_values_get_an_indicator_and_those_imputed_as_a_frequent_value_count_with_it() -> None:
    x = np.where(normal(1) > 1.0, np.nan, np.where(normal() > 0, 0.0, normal()))
    data = table(x=x)
    made = fitted(x=x, columns=configs(data, missing="zero"))
    assert "x=(missing)" in made.columns
    matrix, at = made.transform(data), made.columns.index("x=0")
    zero = np.isnan(x) | (x == 0)
    assert len(np.unique(matrix[zero, at])) == 1 and matrix[zero, at].min() > matrix[~zero, at].max()
    np.testing.assert_allclose(matrix[TRAIN].mean(axis=0), 0, atol=1e-9)


def test_a_value_that_preparation_does_not_impute_is_refused_by_pieces_too() -> None:
    x = np.where(normal() > 0, 0.0, normal())
    made = fitted(x=x, columns=configs(table(x=x), missing="refuse"))
    with pytest.raises(DataError, match="does not impute"):
        made.transform(table(x=np.array([np.nan])))
    for column in made.fitted:
        with pytest.raises(DataError, match="does not impute"):
            column.apply(table(x=np.array([np.nan])))


def test_two_values_and_categories_have_no_pieces() -> None:
    region = np.where(normal(2) > 0, "north", "south")
    assert fitted(flag=(normal() > 0).astype(float), region=region).columns == ("flag", "region=north")


def test_held_out_rows_and_the_coding_of_others_change_nothing() -> None:
    x = normal()
    before = fitted(x=x)
    x[~TRAIN] = 1e6
    assert fitted(x=x) == before


def test_few_rows_have_no_hinges_and_a_million_weigh_them_fully() -> None:
    x = np.random.default_rng(0).normal(size=1_000_000)
    every = np.ones(len(x), np.bool_)
    few = fit(table(x=x[:399]), configs(table(x=x[:399])), AUTO, every[:399], (), 100)[0]
    assert few.columns == ("x",)
    many = table(x=x)
    np.testing.assert_allclose(fit(many, configs(many), AUTO, every, (), 100)[0].transform(many).std(axis=0), 1.0, rtol=1e-6)


def test_room_is_shared_out_in_rounds_and_lines_are_never_left_out_for_it() -> None:
    columns = {name: normal(k) for k, name in enumerate("abc")}
    sources = [column.source for column in fitted(most=8, **columns).fitted]
    assert {name: sources.count(name) for name in "abc"} == {"a": 3, "b": 3, "c": 2}
    assert fitted(most=2, **columns).columns == ("a", "b", "c") == fitted(most=3, **columns).columns
    assert room(21_000, 20) == 524
    assert room(100_000_000, 20) == 2  # within memory


def test_within_keeps_the_order_of_columns() -> None:
    made = {c.name: c for c in fitted(a=normal(0), b=normal(1)).fitted}
    a, b = ([c for c in made.values() if c.source == source and c.name != source] for source in "ab")
    assert [c.source for c in within([a, [], b], 3)] == ["a", "a", "b"]
    assert within([a, b], 0) == []


def test_a_piece_that_adds_nothing_is_left_out_without_a_warning() -> None:
    x = np.arange(N) % 3.0  # a line and two indicators say all; the third is what they leave
    data = table(x=x, y=x)
    made, warnings = fit(data, configs(data), AUTO, TRAIN, (), 100)
    assert made.columns == ("x", "x=0")
    assert warnings == ["left out 'y': collinear with the columns before"]


numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=False, allow_subnormal=False), st.sampled_from([0.0, 1.0, 2.0]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=hnp.arrays(np.float64, (60, 2), elements=numbers),
    transform=st.sampled_from(["none", "auto", "signed_log"]),
    missing=st.sampled_from(["median", "zero", "mode"]),
)
@example(  # the value that replaces what is missing: all but three rows
    values=np.array([[value, 0.0] for value in [1.0, 0.0, 0.0, 0.0, *[np.nan] * 4, 2.0, *[0.0] * 20, 3.0, *[0.0] * 30]]),
    transform="none",
    missing="median",
)
@example(values=np.array([[0.0, 1.0], [np.finfo(np.float64).max, 1.0], *[[1.0, 1.0]] * 58]), transform="auto", missing="median")
def test_any_numbers_give_pieces_of_enough_rows_that_survive_a_round_trip(values: Vector, transform: str, missing: str) -> None:
    data, options = table(a=values[:, 0], b=values[:, 1]), Preparation(coding="auto", min_binary=0, min_bin_rows=4)
    train = np.arange(60) < 45
    try:
        made, _ = fit(data, configs(data, transform=transform, missing=missing), options, train, (), 50)
    except DataError:
        return
    matrix = made.transform(data)
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix[train].mean(axis=0), 0, atol=1e-6)
    for j, column in enumerate(made.fitted):
        if column.name != column.source:
            own, hinge = matrix[train, j], isinstance(column, FittedColumn)
            constant = own == (own.min() if hinge else own.max())
            assert min(constant.sum(), (~constant).sum()) >= 4
    again = FittedPreparation.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.transform(data).tobytes("F") == matrix.tobytes("F")
