"""Whitening: an upper triangular W with W^T (X^T X / n + 4 ridge diag(penalised)) W = I."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.errors import RangeError
from common.learn.whiten import _FLOOR, Reals, gram, whitener


def whitening(X: Reals, penalised: np.ndarray, ridge: float) -> Reals:
    return whitener(gram([X[:7], X[7:]], len(penalised))[0], penalised, ridge)


@example(seed=4532, columns=8, ridge=0.0)  # columns that hardly vary: the floor shows
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), columns=st.integers(1, 8), ridge=st.sampled_from([0.0, 1e-4, 0.3]))
def test_whitens_the_ridged_second_moments(seed: int, columns: int, ridge: float) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, columns)) @ (np.eye(columns) + 0.3 * rng.normal(size=(columns, columns)))
    penalised = rng.random(columns) < 0.7
    W = whitening(X, penalised, ridge)
    curvature = X.T @ X / 50 + 4 * ridge * np.diag(penalised.astype(float))
    np.testing.assert_array_equal(W, np.triu(W))
    np.testing.assert_allclose(W.T @ (curvature + _FLOOR * np.eye(columns)) @ W, np.eye(columns), atol=1e-4)


def test_moments_rows_and_the_longest_row() -> None:
    X = np.random.default_rng(2).normal(size=(30, 3))
    products, rows, longest = gram([X[:10], X[10:10], X[10:]], 3)
    np.testing.assert_allclose(products, X.T @ X / 30)
    assert (rows, longest) == (30, pytest.approx((X**2).sum(axis=1).max()))


def test_the_ridge_spares_what_is_not_penalised() -> None:
    X = np.ones((10, 1))
    assert whitening(X, np.array([False]), 5.0)[0, 0] == pytest.approx(1.0)
    assert whitening(X, np.array([True]), 2.0)[0, 0] == pytest.approx(1 / 3)


def test_equal_columns_without_ridge_stay_finite() -> None:
    X = np.repeat(np.random.default_rng(1).normal(size=(30, 1)), 2, axis=1)
    assert np.isfinite(whitening(X, np.array([True, True]), 0.0)).all()


@pytest.mark.parametrize("X", [np.zeros((0, 2)), np.array([[1.0, np.nan]]), np.array([[np.inf, 1.0]])])
def test_no_rows_or_no_numbers_are_refused(X: np.ndarray) -> None:
    with pytest.raises(RangeError):
        whitening(X, np.array([True, True]), 0.1)
