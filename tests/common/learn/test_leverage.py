"""Columns by which a row could be read are left out; those of honest tables, small ones too, are not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.features.options import Preparation
from common.learn.leverage import LARGEST, Kept, without_leverage
from common.learn.linear.design import prepare
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.common.stages.tables import table

Reals = npt.NDArray[np.float64]


def kept(X: Reals, ridge: float = 1e-4, largest: float = LARGEST, intercept: bool = False) -> Kept:
    def parts() -> Iterator[Reals]:
        return iter([X[:100], X[100:]])

    penalised = np.ones(X.shape[1], np.bool_)
    penalised[-1] = not intercept
    return without_leverage(parts, penalised, ridge, largest)


def table_of(values: dict[str, Reals]) -> tuple[FeatureTable, dict[str, ColumnConfig]]:
    """A table of numeric columns, as an inferred configuration reads it."""
    made = table([f"e{k}" for k in range(len(next(iter(values.values()))))], **values)
    return made, {name: ColumnConfig(kind="numeric", transform="auto") for name in values}


def leverages(X: Reals) -> Reals:
    """The diagonal of X (X^T X)^-1 X^T, by another way: an orthonormal basis."""
    q, _ = np.linalg.qr(X)
    found: Reals = (q**2).sum(axis=1)
    return found


@given(seed=st.integers(0, 2**32 - 1), spikes=st.integers(0, 4), ridge=st.sampled_from([0.0, 1e-4, 10.0]))
def test_what_is_left_gives_no_row_more_than_the_limit(seed: int, spikes: int, ridge: float) -> None:
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((400, 6))
    for k in range(spikes):
        X[:, k] *= 1e-7
        X[draw.integers(400), k] = 1.0
    found = kept(X, ridge)
    assert leverages(X[:, found.places]).max() <= LARGEST * 1.001
    assert {place for place, _ in found.left_out} == set(range(spikes)), "no honest column goes with them"
    assert sorted([*found.places, *(place for place, _ in found.left_out)]) == list(range(6))


def test_a_spike_spread_over_columns_of_which_none_has_much() -> None:
    draw = np.random.default_rng(5)
    X = draw.standard_normal((1000, 20))
    X[17] = 8.0  # 64 / 1000 in each
    assert leverages(X)[17] > 0.5
    found = kept(X)
    assert found.left_out and all(share < LARGEST for _, share in found.left_out)
    assert leverages(X[:, found.places]).max() <= LARGEST * 1.001


def test_a_difference_of_two_columns_that_is_one_companys() -> None:
    draw = np.random.default_rng(6)
    X = draw.standard_normal((1000, 4))
    X[:, 2] = X[:, 1]
    X[123, 2] += 0.01
    assert [place for place, _ in kept(X).left_out] == [2]


def test_an_intercept_stays() -> None:
    X = np.column_stack([np.eye(300)[:, 0] - 1 / 300, np.ones(300)])
    found = kept(X, intercept=True)
    assert found.places == (1,) and found.whiten == pytest.approx(np.ones((1, 1)))


SMALL = {
    "normal": lambda draw: draw.standard_normal((1000, 30)),
    "heavy tails": lambda draw: draw.standard_t(3, (1000, 30)),
    "amounts": lambda draw: np.exp(2.0 * draw.standard_normal((1000, 30))),
    "of one factor": lambda draw: draw.standard_t(3, (1000, 1)) + draw.standard_normal((1000, 30)),
    "indicators": lambda draw: np.column_stack(
        [draw.standard_normal((1000, 10)), np.exp(draw.standard_normal((1000, 10))), draw.random((1000, 10)) < 0.09]
    ),
}


@pytest.mark.parametrize("kind", SMALL)
def test_an_honest_small_table_keeps_its_columns(kind: str) -> None:
    """1,000 rows of 30 columns: the fewest rows that policies take, with more columns than most bring."""
    for seed in range(5):
        values = np.asarray(SMALL[kind](np.random.default_rng([seed, *kind.encode()])), np.float64)
        rows, columns = table_of({f"x{k}": values[:, k] for k in range(30)})
        prepared, warnings = prepare(rows, columns, Preparation(), 1000, 1e-4, Party.GRID)
        assert len(prepared.columns) == 30 and not warnings, warnings


def test_a_column_left_out_is_named_and_scored_without() -> None:
    draw = np.random.default_rng(1)
    spike = 1e-7 * draw.standard_normal(1000)
    spike[7] = 1.0
    rows, columns = table_of({"a": draw.standard_normal(1000), "spike": spike, "b": draw.standard_normal(1000)})
    for party, names in ((Party.GRID, ("a", "b")), (Party.BANK, ("a", "b", "(intercept)"))):
        prepared, (warning,) = prepare(rows, columns, Preparation(clip=1e6), 1000, 1e-4, party)
        assert prepared.columns == names and prepared.fitted.columns == ("a", "b")
        assert prepared.matrix(0, 1000).shape == (1000, len(names)) and prepared.whiten.shape == (len(names), len(names))
        assert warning.startswith("left out 'spike'") and "signed_log" in warning


def test_nothing_but_spikes() -> None:
    spikes = {f"x{k}": np.eye(1000)[k] + 1e-7 * np.random.default_rng(k).standard_normal(1000) for k in range(3)}
    rows, columns = table_of(spikes)
    with pytest.raises(DataError, match="each singles out few rows"):
        prepare(rows, columns, Preparation(clip=1e6), 1000, 1e-4, Party.BANK)
