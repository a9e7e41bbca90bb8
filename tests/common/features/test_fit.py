"""Preparation: statistics of training rows only, each pipeline step, what is left out and why, and reloading."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.errors import ConfigError, DataError, PolicyError
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable, Ids

SMALL = Preparation(min_binary=0)
N = 400
TRAIN = np.arange(N) < 300
RNG = np.random.default_rng(7)


def table(**columns: Any) -> FeatureTable:
    """Columns of strings or None are categorical, the others numeric."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    rows = len(next(iter(arrays.values())))
    return FeatureTable(
        ids=Ids.of([str(i) for i in range(rows)]),
        periods=None,
        numeric={c: v.astype(np.float64) for c, v in arrays.items() if v.dtype.kind in "fiub"},
        categorical={c: v.astype(object) for c, v in arrays.items() if v.dtype.kind in "OU"},
        order=tuple(arrays),
    )


def configs(data: FeatureTable, **settings: Any) -> dict[str, ColumnConfig]:
    """A ColumnConfig for each column of `data`; `settings` go to the columns of the kind they suit."""
    kinds = {name: "numeric" if name in data.numeric else "categorical" for name in data.order}
    return {name: ColumnConfig.model_validate({"kind": kind, **settings}) for name, kind in kinds.items()}


def prepared(data: FeatureTable, options: Preparation = SMALL, **settings: Any) -> npt.NDArray[np.float64]:
    fitted, _ = fit(data, configs(data, **settings), options, TRAIN[: data.rows])
    return fitted.transform(data)


def world() -> FeatureTable:
    """Light and heavy tails, an indicator, categories, and missing values."""
    gaps = np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N))
    regions = RNG.choice(np.array(["north", "south", "west", None], dtype=object), N, p=[0.5, 0.2, 0.2, 0.1])
    return table(a=RNG.normal(3, 2, N), gaps=gaps, heavy=RNG.standard_cauchy(N) * 1e4, flag=RNG.random(N) < 0.3, region=regions)


def test_training_columns_have_mean_0_and_deviation_1_in_column_order() -> None:
    data = world()
    fitted, warnings = fit(data, configs(data, transform="auto"), SMALL, TRAIN)
    matrix = fitted.transform(data)
    assert warnings == []
    assert fitted.columns == ("a", "gaps", "heavy", "flag", "region=(missing)", "region=south", "region=west")
    assert matrix.flags.f_contiguous and matrix.dtype == np.float64 and matrix.shape == (N, 7)
    np.testing.assert_allclose(matrix[TRAIN].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix[TRAIN].std(axis=0), 1, atol=1e-12)


@pytest.mark.parametrize("missing", ["median", "mean", "mode"])
def test_statistics_come_from_training_rows_only(missing: str) -> None:
    data = world()
    other = table(**{c: v.copy() for c, v in {**data.numeric, **data.categorical}.items()})
    for values in other.numeric.values():
        values[~TRAIN] = values[~TRAIN] * 3 + 1
    other.categorical["region"][~TRAIN] = "atlantis"
    columns = configs(data, transform="auto", missing="mode")
    if missing != "mode":
        columns = {**configs(data), **configs(table(**data.numeric), transform="auto", missing=missing)}
    first, second = (fit(d, columns, SMALL, TRAIN)[0] for d in (data, other))
    assert first == second
    assert not np.array_equal(first.transform(data)[~TRAIN], first.transform(other)[~TRAIN])


def test_changing_a_training_row_changes_the_statistics() -> None:
    data = world()
    before = fit(data, configs(data), SMALL, TRAIN)[0]
    data.numeric["a"][0] += 1
    assert fit(data, configs(data), SMALL, TRAIN)[0] != before


@pytest.mark.parametrize(("missing", "fill"), [("median", 2.0), ("mean", 3.0), ("zero", 0.0), ("mode", 1.0)])
def test_numbers_are_imputed_as_declared(missing: str, fill: float) -> None:
    train = np.array([True, True, True, True, False])
    gap, full = (table(x=[1.0, 1.0, 3.0, 7.0, value]) for value in (np.nan, fill))
    matrices = [fit(data, configs(data, missing=missing), SMALL, train)[0].transform(data) for data in (gap, full)]
    np.testing.assert_array_equal(*matrices)


@pytest.mark.parametrize("missing", ["drop", "refuse"])
def test_values_that_nothing_imputes_are_refused(missing: str) -> None:
    complete = table(x=[1.0, 2.0, 4.0], c=["a", "b", "a"])
    gaps = (table(x=[1.0, np.nan, 4.0], c=["a", "b", "a"]), table(x=[1.0, 2.0, 4.0], c=["a", None, "a"]))
    columns = configs(complete, missing=missing)
    fitted, _ = fit(complete, columns, SMALL, np.ones(3, bool))
    for broken in gaps:
        for action in (lambda t=broken: fitted.transform(t), lambda t=broken: fit(t, columns, SMALL, np.ones(3, bool))):
            with pytest.raises(DataError, match="does not impute"):
                action()


def test_missing_categories_become_a_category_or_the_mode() -> None:
    data = table(c=np.array(["a"] * 5 + ["b"] * 3 + [None] * 2, dtype=object))
    own, _ = fit(data, configs(data), SMALL, np.ones(10, bool))
    mode, _ = fit(data, configs(data, missing="mode"), SMALL, np.ones(10, bool))
    assert own.columns == ("c=(missing)", "c=b") and mode.columns == ("c=b",)
    indicator = mode.transform(data)[:, 0]
    assert len(set(indicator[:5]) | set(indicator[8:])) == 1


def test_unseen_categories_have_no_indicator_set() -> None:
    data = table(c=["a", "a", "b", "d", "d", "d"])
    fitted, _ = fit(data, configs(data), SMALL, np.ones(6, bool))
    assert fitted.columns == ("c=a", "c=b")
    reference, unseen = fitted.transform(table(c=["d", "z"]))
    np.testing.assert_array_equal(reference, unseen)


def test_signed_log_as_declared_and_where_tails_are_heavy() -> None:
    heavy, light = np.r_[RNG.normal(size=N - 1), 1e6], RNG.normal(size=N)
    train = np.ones(N, bool)
    for values, transform, expected in ((heavy, "auto", True), (light, "auto", False), (light, "signed_log", True),
                                        (heavy, "none", False)):  # fmt: skip
        data = table(x=values)
        fitted, _ = fit(data, configs(data, transform=transform), SMALL, train)
        assert fitted.fitted[0].signed_log is expected
    logged = prepared(table(x=np.sign(light) * np.log1p(np.abs(light))))
    np.testing.assert_array_equal(prepared(table(x=light), transform="signed_log"), logged)


def test_values_are_clipped_at_the_declared_deviations_and_standardised_again() -> None:
    values = np.r_[RNG.normal(size=N - 1), 50.0]
    train = np.ones(N, bool)
    data = table(x=values)
    fitted, _ = fit(data, configs(data), Preparation(clip=2.0, min_binary=0), train)
    z = np.clip((values - values.mean()) / values.std(), -2, 2)
    np.testing.assert_allclose(fitted.transform(data)[:, 0], (z - z.mean()) / z.std(), rtol=1e-12, atol=1e-12)
    far, further = fitted.transform(table(x=[1e3, 1e308]))[:, 0]
    assert far == further


def test_binary_columns_are_not_flattened_and_bounded_by_their_two_values() -> None:
    values = np.zeros(N)
    values[:4] = 1
    data = table(flag=values)
    fitted, _ = fit(data, configs(data, transform="auto"), SMALL, np.ones(N, bool))
    matrix = fitted.transform(data)[:, 0]
    assert matrix.max() == pytest.approx(np.sqrt((N - 4) / 4))
    assert matrix.max() > Preparation().clip
    common = table(flag=np.arange(N) % 2)
    fitted, _ = fit(common, configs(common), SMALL, np.ones(N, bool))
    assert fitted.transform(table(flag=[9.0, -9.0]))[:, 0].tolist() == [1.0, -1.0]


def test_constant_columns_are_left_out_by_name() -> None:
    x = RNG.normal(size=N)
    late = np.where(TRAIN, 0.1, x)
    gone = np.where(TRAIN, np.nan, x)
    data = table(x=x, late=late, gone=gone, noise=1e9 + RNG.normal(size=N) * 1e-7, one=["k"] * N)
    fitted, warnings = fit(data, configs(data), SMALL, TRAIN)
    assert fitted.columns == ("x",)
    assert warnings == ["left out 'late', 'gone', 'noise', 'one': the same value in every training row"]


def rare_world() -> FeatureTable:
    few, almost = np.zeros(N), np.ones(N)
    few[:49], almost[-49:] = 1, 0
    enough, levels = np.zeros(N), np.array(["m"] * N, dtype=object)
    enough[::8], levels[:49], levels[300:] = 5.0, "few", "many"
    marks = np.zeros(N)
    marks[:2] = (3.0, 4.0)
    return table(few=few, almost=almost, enough=enough, level=levels, marks=marks, x=RNG.normal(size=N))


def test_rare_columns_are_left_out_by_name() -> None:
    data = rare_world()
    everywhere = np.arange(N) % 2 == 0  # counts are over all rows: of "enough", training has 50 ones or none
    fitted, warnings = fit(data, configs(data), Preparation(), everywhere)
    assert fitted.columns == ("enough", "level=many", "x")
    (warning,) = warnings
    assert "'few', 'almost', 'level=few', 'marks'" in warning and "fewer than 50" in warning


def test_rare_columns_are_refused_with_the_reason_but_no_category_in_public() -> None:
    data = rare_world()
    with pytest.raises(PolicyError, match="reveals that company's label") as caught:
        fit(data, configs(data), Preparation(rare="refuse"), TRAIN)
    assert "'level=few'" in str(caught.value)
    assert "'level' (1)" in caught.value.public and "level=few" not in caught.value.public


def test_continuous_columns_of_a_small_table_are_not_rare() -> None:
    data = table(x=RNG.normal(size=30))
    assert fit(data, configs(data), Preparation(), np.ones(30, bool))[0].columns == ("x",)


def test_collinear_columns_are_left_out_and_the_earlier_kept() -> None:
    a, b = RNG.normal(size=N), RNG.normal(size=N)
    wide = Preparation(clip=100.0, min_binary=0)
    data = table(a=a, twin=-2 * a + 1, b=b, sum=a + b, near=a + 0.1 * RNG.normal(size=N), other=RNG.normal(size=N))
    fitted, warnings = fit(data, configs(data), wide, TRAIN)
    assert fitted.columns == ("a", "b", "near", "other")
    assert warnings == ["left out 'twin', 'sum': collinear with the columns before"]
    strict, _ = fit(data, configs(data), Preparation(clip=100.0, min_binary=0, collinear=0.5), TRAIN)
    assert strict.columns == ("a", "b", "other")


def test_collinearity_is_judged_on_training_rows() -> None:
    a, b = RNG.normal(size=N), RNG.normal(size=N)
    data = table(a=a, same_in_training=np.where(TRAIN, a, b), same_in_test=np.where(TRAIN, b, a))
    assert fit(data, configs(data), SMALL, TRAIN)[0].columns == ("a", "same_in_test")


def test_long_lists_of_names_are_cut() -> None:
    data = table(x=RNG.normal(size=N), **{f"c{i}": np.ones(N) for i in range(30)})
    assert "'c19' and 10 more" in fit(data, configs(data), SMALL, TRAIN)[1][0]


def test_no_column_left_is_refused() -> None:
    data = table(x=np.ones(N))
    with pytest.raises(DataError, match="no column is left"):
        fit(data, configs(data), SMALL, TRAIN)
    with pytest.raises(DataError, match="no column is left"):
        fit(world(), configs(world()), SMALL, np.zeros(N, bool))


def test_tables_that_lack_a_column_are_refused() -> None:
    data = world()
    fitted, _ = fit(data, configs(data), SMALL, TRAIN)
    for broken in (table(a=data.numeric["a"]), table(**{**data.numeric, "region": np.ones(N)})):
        with pytest.raises(DataError, match=r"no .* column"):
            fitted.transform(broken)
        with pytest.raises(DataError, match="of the declared kind"):
            fit(broken, configs(data), SMALL, TRAIN)


def test_numbers_too_large_to_standardise_are_refused_or_logged() -> None:
    data = table(x=np.r_[RNG.normal(size=N - 2), 1e300, -1e300])
    train = np.ones(N, bool)
    with pytest.raises(DataError, match="too large"):
        fit(data, configs(data), SMALL, train)
    assert np.isfinite(fit(data, configs(data, transform="auto"), SMALL, train)[0].transform(data)).all()


def test_reloading_gives_the_same_bytes() -> None:
    data = world()
    fitted, _ = fit(data, configs(data, transform="auto"), SMALL, TRAIN)
    text = json.dumps(fitted.to_dict(), allow_nan=False)
    loaded = FittedPreparation.from_dict(json.loads(text))
    assert loaded == fitted and json.dumps(loaded.to_dict()) == text
    assert loaded.transform(data).tobytes("F") == fitted.transform(data).tobytes("F")


def test_a_damaged_preparation_is_refused() -> None:
    raw = fit(world(), configs(world()), SMALL, TRAIN)[0].to_dict()
    broken = json.loads(json.dumps(raw))
    broken["fitted"][0]["mean"] = float("nan")
    for bad in ({**raw, "version": 2}, {**raw, "extra": 1}, {}, broken):
        with pytest.raises(ConfigError):
            FittedPreparation.from_dict(bad)


finite = st.floats(-1e12, 1e12, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(np.float64, (40, 3), elements=st.one_of(finite, st.just(np.nan), st.sampled_from([0.0, 1.0]))),
    train=hnp.arrays(np.bool_, 40),
    transform=st.sampled_from(["none", "auto", "signed_log"]),
)
def test_any_numbers_give_finite_standardised_independent_columns(
    values: npt.NDArray[np.float64], train: npt.NDArray[np.bool_], transform: str
) -> None:
    data = table(a=values[:, 0], b=values[:, 1], c=values[:, 2])
    try:
        fitted, _ = fit(data, configs(data, transform=transform), SMALL, train)
    except DataError:
        return
    matrix = fitted.transform(data)
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix[train].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(matrix[train].std(axis=0), 1, atol=1e-6)
    assert np.linalg.matrix_rank(matrix[train], tol=1e-7) == matrix.shape[1]
    again = FittedPreparation.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.transform(data).tobytes("F") == matrix.tobytes("F")
