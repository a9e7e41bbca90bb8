"""Bins and weights of evidence against plain numpy: cuts, merging, pooling, one-hot, missing and unseen values, JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, DataError
from common.features import binning
from common.features.binning import Binning, binned_columns, count_own, cut, halvings, merge, monotone, quantile_edges, woe
from common.features.bins import BinnedColumn, Cells
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.features.selection import selection
from common.rows.table import FeatureTable
from tests.common.features.test_fit import configs, table

OPTIONS = Preparation(coding="woe", min_binary=0, min_bin_rows=20)
RNG = np.random.default_rng(11)
N = 2000
TRAIN = np.arange(N) < 1500


def world() -> tuple[FeatureTable, Any]:
    x = RNG.normal(size=N)
    gaps = np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N))
    zeros = np.where(RNG.random(N) < 0.6, 0.0, RNG.lognormal(size=N))
    region = RNG.choice(np.array(["a", "b", "c", "rare", None], dtype=object), N, p=[0.5, 0.3, 0.15, 0.005, 0.045])
    label = (RNG.random(N) < 1.0 / (1.0 + np.exp(1.5 - x - 0.8 * np.isnan(gaps)))).astype(np.float64)
    return table(x=x, gaps=gaps, zeros=zeros, region=region), label


def binned(data: FeatureTable, label: Any, options: Preparation = OPTIONS) -> list[Binning]:
    return [count_own(b, label[TRAIN], options) for b in cut(data, configs(data), options, TRAIN)]


@given(values=st.lists(st.integers(-20, 20), min_size=1, max_size=300), bins=st.integers(2, 20))
def test_edges_rise_and_leave_no_bin_empty(values: list[int], bins: int) -> None:
    edges = quantile_edges(np.array(values, np.float64), bins)
    assert len(edges) < bins
    assert list(edges) == sorted(set(edges))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    assert counts.min() > 0
    assert len(edges) == min(bins, len(set(values))) - 1 or max(np.unique(values, return_counts=True)[1]) > 1


def test_without_ties_bins_are_quantiles_and_a_heap_of_one_value_gets_its_own() -> None:
    values = RNG.permutation(1000).astype(np.float64)
    assert quantile_edges(values, 10) == tuple(100.0 * k for k in range(1, 10))
    heap = np.r_[np.zeros(600), 1.0 + np.arange(400)]
    assert quantile_edges(heap, 5) == (1.0, 101.0, 201.0, 301.0)
    assert quantile_edges(np.full(9, 3.0), 4) == quantile_edges(np.empty(0), 4) == ()


def test_statistics_come_from_training_rows_only() -> None:
    data, label = world()
    before = binned(data, label)
    data.numeric["x"][~TRAIN] *= 9
    data.categorical["region"][~TRAIN] = "new"
    label[~TRAIN] = 1 - label[~TRAIN]
    for one, other in zip(before, binned(data, label), strict=True):
        assert (one.cells, one.groups, one.ones.tolist()) == (other.cells, other.groups, other.ones.tolist())  # type: ignore[union-attr]


def test_weights_of_evidence_are_those_of_plain_counting() -> None:
    data, label = world()
    found = binned(data, label)
    fitted, _ = fit(data, configs(data), OPTIONS, TRAIN, binned_columns(found, OPTIONS))
    matrix = fitted.transform(data)
    assert fitted.columns == ("x", "gaps", "zeros", "region")
    bad, good = label[TRAIN] == 1, label[TRAIN] == 0
    for j, b in enumerate(found):
        values = np.zeros(TRAIN.sum())
        for k in range(len(b.groups)):
            inside = b.group_codes == k
            assert inside.sum() >= 20 and min((inside & bad).sum(), (inside & good).sum()) >= 5
            values[inside] = np.log(((inside & bad).sum() / bad.sum()) / ((inside & good).sum() / good.sum()))
        column = fitted.fitted[j]
        assert isinstance(column, BinnedColumn)
        np.testing.assert_allclose(matrix[TRAIN, j] * column.spread + column.centre, values, atol=1e-12)
    np.testing.assert_allclose(matrix[TRAIN].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix[TRAIN].std(axis=0), 1, atol=1e-12)
    again = FittedPreparation.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted and again.transform(data).tobytes() == matrix.tobytes()


def test_missing_values_have_a_bin_and_rare_levels_go_together() -> None:
    data, label = world()
    _, gaps, zeros, region = binned(data, label)
    assert any(members == (gaps.cells.count - 1,) for members in gaps.groups)
    assert "(missing)" in [gaps.label(k) for k in range(len(gaps.groups))]
    assert zeros.cells.edges[0] > 0 and zeros.groups[0] == (0, zeros.cells.count - 1)  # the bin of the heap, as the median
    assert region.cells.levels == ("a", "b", "c", "(missing)")
    assert region.label(0) == "a"
    assert any("(other)" in region.label(k) for k in range(len(region.groups)))


def test_values_unseen_in_training_have_a_place() -> None:
    data, label = world()
    columns = binned_columns(binned(data, label), OPTIONS)
    zeros, region = columns[2], columns[3]
    new = table(zeros=[np.nan, 0.0, 1e9], region=["a", "atlantis", None], x=[0, 0, 0])
    assert zeros.apply(new)[0] == zeros.apply(new)[1] != zeros.apply(new)[2]
    assert np.isfinite(region.apply(new)).all()


def test_what_a_table_must_have() -> None:
    data, label = world()
    x = binned_columns(binned(data, label), OPTIONS)[0]
    with pytest.raises(DataError, match="no numeric column 'x'"):
        x.apply(table(y=[1.0]))
    refusing = Cells(source="x", edges=(0.0,), missing="refuse")
    with pytest.raises(DataError, match="misses 1 values"):
        refusing.of(table(x=[1.0, np.nan]))
    with pytest.raises(DataError, match="no numeric column 'z'"):
        cut(data, {"z": configs(data)["x"]}, OPTIONS, TRAIN)
    raw = FittedPreparation(fitted=(x,)).to_dict()
    raw["fitted"][0]["values"] = raw["fitted"][0]["values"][1:]
    with pytest.raises(ConfigError, match="a value for each cell"):
        FittedPreparation.from_dict(raw)


def test_one_hot_has_an_indicator_a_bin_but_the_largest_and_none_is_rare() -> None:
    data, _ = world()
    options = Preparation(coding="bins", bins=5)
    found = cut(data, configs(data), options, TRAIN)
    fitted, warnings = fit(data, configs(data), options, TRAIN, binned_columns(found, options))
    matrix = fitted.transform(data)
    assert warnings == []
    assert len(fitted.columns) == sum(len(b.groups) - 1 for b in found) == len(set(fitted.columns))
    for j in range(matrix.shape[1]):
        values, counts = np.unique(matrix[:, j], return_counts=True)
        assert len(values) == 2 and counts.min() >= 50
    assert "region=b" in fitted.columns and any(name.startswith("x=[") and name.endswith(")") for name in fitted.columns)
    assert not [name for name in fitted.columns if name.startswith("x=") and "missing" in name]


def test_small_groups_join_each_other_else_the_smaller_neighbour() -> None:
    rows = np.array([10, 50, 90, 40, 30])
    groups = tuple((k,) for k in range(5))

    def merged(*small: int) -> Any:
        return merge(groups, np.isin(np.arange(5), small), rows)

    assert merged() == groups
    assert merged(0) == ((0, 1), (2,), (3,), (4,))
    assert merged(2) == ((0,), (1,), (2, 3), (4,))
    assert merged(1) == ((0, 1), (2,), (3,), (4,))
    assert merged(4) == ((0,), (1,), (2,), (3, 4))
    assert merged(0, 1, 2, 3, 4) == ((0, 1), (2, 3, 4))


@given(bins=st.integers(2, 50), seed=st.integers(0, 1000))
def test_as_many_merges_as_are_allowed_for_settle_a_column(bins: int, seed: int) -> None:
    """All small to begin with: unions of small ones stay unknown, which is the worst there is."""
    rows = np.random.default_rng(seed).integers(1, 100, bins + 1)
    groups = tuple((k,) for k in range(bins + 1))
    for _ in range(halvings(bins)):
        groups = merge(groups, np.ones(len(groups), np.bool_), rows)
    assert len(groups) == 1


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=2, max_size=10))
def test_monotone_bins_are_monotone_and_keep_every_row(counts: list[tuple[int, int]]) -> None:
    ones, zeros = (np.array(side) for side in zip(*counts, strict=True))
    groups = tuple((k,) for k in range(len(counts)))
    missing = len(counts) - 1
    merged, kept = monotone(groups, ones + zeros, ones, missing)
    assert sorted(c for members in merged for c in members) == list(range(len(counts)))
    assert merged[-1] == (missing,) and kept.sum() == ones.sum()
    rates = [ones[list(m)].sum() / (ones + zeros)[list(m)].sum() for m in merged[:-1]]
    steps = np.diff(rates)
    assert (steps > 0).all() or (steps < 0).all()


def test_monotone_coding_pools_a_wave_and_not_a_slope() -> None:
    x = np.tile(np.arange(10.0), 200)
    for rates, bins in ((np.linspace(0.1, 0.7, 10), 10), (np.array([0.2, 0.5] * 5), 3)):
        label = (np.arange(2000) // 10 < np.repeat(rates[None] * 200, 200, axis=0).ravel()).astype(np.float64)
        data = table(x=x)
        options = Preparation(coding="woe", monotone=True)
        found = count_own(cut(data, configs(data), options, np.ones(2000, np.bool_))[0], label, options)
        assert len(found.groups) <= bins
        assert found.ones is not None
        values = woe(found.ones, found.group_rows - found.ones)
        assert (np.diff(values) > 0).all()
    assert len(found.groups) < 10


def test_columns_that_tell_nothing_are_left_out_and_the_report_says_so() -> None:
    data, label = world()
    data.numeric["flat"] = np.ones(N)
    data.numeric["copy"] = data.numeric["x"] * 2
    data = FeatureTable(data.ids, None, data.numeric, data.categorical, order=(*data.order, "flat", "copy"))
    found = binned(data, label)
    fitted, warnings = fit(data, configs(data), OPTIONS, TRAIN, binned_columns(found, OPTIONS))
    report = {column["name"]: column for column in selection(found, fitted.sources, OPTIONS)["columns"]}
    assert "flat" not in fitted.columns and "copy" not in fitted.columns
    assert warnings == ["left out 'copy': collinear with the columns before"]
    assert (report["flat"]["kept"], report["flat"]["reason"], report["flat"]["iv"]) == (False, binning.ONE_BIN, 0.0)
    assert not report["copy"]["kept"] and report["x"]["kept"]
    assert list(report)[:2] == ["copy", "x"]  # by information value, then name
    x = report["x"]
    ones, zeros = (np.array([b[key] for b in x["bins"]]) for key in ("ones", "zeros"))
    share = ones / ones.sum() - zeros / zeros.sum()
    assert x["iv"] == pytest.approx(float(share @ np.log((ones / ones.sum()) / (zeros / zeros.sum()))))
    assert x["iv"] > report["zeros"]["iv"]
    json.dumps(report)


def test_a_bin_of_one_class_has_no_weight() -> None:
    with pytest.raises(DataError, match="weight of evidence"):
        woe(np.array([5, 0]), np.array([5, 9]))
