"""Combinations of bins that single out few rows are found, whichever columns and coefficients make them; others are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.features.isolation import Isolated, find_isolated

Codes = npt.NDArray[np.int16]
LEAST = 50


def columns(draw: np.random.Generator, rows: int, count: int, bins: int) -> list[Codes]:
    """Honest columns, cut at quantiles: a factor of their own and one in common."""
    common = draw.standard_normal(rows)
    return [quantiles(0.7 * common + 0.7 * draw.standard_normal(rows), bins) for _ in range(count)]


def quantiles(values: npt.NDArray[np.float64], bins: int) -> Codes:
    return np.searchsorted(np.quantile(values, np.arange(1, bins) / bins), values, side="right").astype(np.int16)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6), bins=st.integers(2, 8))
def test_honest_columns_are_left_alone(seed: int, count: int, bins: int) -> None:
    draw = np.random.default_rng(seed)
    assert find_isolated(columns(draw, 1200, count, bins), LEAST, draw) is None


@pytest.mark.parametrize("few", [1, 6, 25, 49])
@pytest.mark.parametrize("rows", [1000, 6000])
def test_two_bins_that_are_a_third_but_for_a_few_rows(few: int, rows: int) -> None:
    for seed in range(10):
        draw = np.random.default_rng([seed, few])
        one, two = draw.random(rows) < 0.2, draw.random(rows) < 0.2
        two &= ~one
        three = one | two
        three[draw.choice(rows, few, replace=False)] ^= True
        honest = columns(draw, rows, 2, 5)
        planted = [one.astype(np.int16), honest[0], two.astype(np.int16), honest[1], three.astype(np.int16)]
        assert find_isolated(planted, LEAST, draw) == Isolated(few, (0, 2, 4))


def test_coefficients_other_than_one() -> None:
    """1, 2 and 4 times three indicators are the bins of a fourth column, but for one row."""
    draw = np.random.default_rng(4)
    bits = [(draw.random(3000) < 0.5).astype(np.int16) for _ in range(3)]
    whole = (bits[0] + 2 * bits[1] + 4 * bits[2]).astype(np.int16)
    assert find_isolated([*bits, whole], LEAST, draw) is None, "they say the same, of no row in particular"
    whole[5] = (whole[5] + 4) % 8
    found = find_isolated([*bits, whole], LEAST, draw)
    assert found is not None and found.rows == 1 and found.columns[-1] == 3


def test_five_columns_together() -> None:
    draw = np.random.default_rng(5)
    owner = draw.integers(0, 5, 4000)
    parts = [(owner == k).astype(np.int16) for k in range(4)]
    union = (owner < 4).astype(np.int16)
    union[[3, 9]] ^= 1
    assert find_isolated([*columns(draw, 4000, 3, 6), *parts, union], LEAST, draw) == Isolated(2, (3, 4, 5, 6, 7))


def test_two_cuts_of_one_number() -> None:
    draw = np.random.default_rng(6)
    x = draw.standard_normal(2000)
    y = x.copy()
    y[:3] = y[2::-1]
    a, b = quantiles(x, 10), quantiles(y, 10)
    differ = int((a != b).sum())
    found = find_isolated([a, b], LEAST, draw)
    assert differ and found is not None and found.rows <= differ and found.columns == (0, 1)
    assert find_isolated([a, a.copy()], LEAST, draw) is None


def test_as_many_rows_as_a_bin_may_have_are_not_few() -> None:
    draw = np.random.default_rng(7)
    one = (draw.random(2000) < 0.3).astype(np.int16)
    other = one.copy()
    other[draw.choice(2000, LEAST, replace=False)] ^= 1
    assert find_isolated([one, other], LEAST, draw) is None
    assert find_isolated([one, other], LEAST + 1, draw) == Isolated(LEAST, (0, 1))
