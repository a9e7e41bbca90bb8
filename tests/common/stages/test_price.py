"""The price of counts bounds what they tell: held against the entropy of counts, worked out, and of what labels give a grid."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.stages.price import count_bits

Shares = npt.NDArray[np.float64]


def entropy(shares: Shares) -> float:
    used = shares[shares > 0]
    return -float((used * np.log2(used)).sum())


def total(chances: Shares, weight: int = 1) -> Shares:
    """The distribution of a sum of independent labels, each of which counts `weight` times."""
    found = np.ones(1)
    for chance in chances:
        one = np.zeros(weight + 1)
        one[0], one[-1] = 1 - chance, chance
        found = np.convolve(found, one)
    return found


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), min_size=2, max_size=6), months=st.integers(1, 12)
)
def test_counts_of_one_column_have_less_entropy_than_they_cost(parts: list[list[float]], months: int) -> None:
    """Whatever a grid knows of each label, and however unequal its bins are; labels of a company's months are all the same."""
    told = sum(entropy(total(np.array(part), months)) for part in parts)
    assert told <= count_bits(months * sum(map(len, parts)), len(parts), months) + 1e-9


@pytest.mark.parametrize("bins", [2, 3])
def test_counts_of_several_columns_have_less_entropy_together_than_they_cost(bins: int) -> None:
    """Exactly, over all labels of twelve rows, each of which is one with a chance of a half: the most uncertain ones."""
    rows, rng = 12, np.random.default_rng(3)
    labels = np.array(list(product((0, 1), repeat=rows)))
    for columns in (1, 2, 4):
        cuts = [np.eye(bins, dtype=int)[rng.permutation(rows) % bins] for _ in range(columns)]
        _, times = np.unique(labels @ np.hstack(cuts), axis=0, return_counts=True)
        assert entropy(times / times.sum()) <= count_bits(rows, bins * columns, 1)


def test_no_bin_costs_nothing_and_more_of_anything_costs_more() -> None:
    assert count_bits(1000, 0, 1) == 0.0
    assert count_bits(1000, 20, 1) < min(count_bits(2000, 20, 1), count_bits(1000, 21, 1), count_bits(1000, 20, 6))


def test_ten_bins_of_17_columns_over_14280_rows_cost_less_than_a_tenth_of_a_bit_of_each() -> None:
    """As pages say."""
    assert count_bits(14_280, 170, 1) / 14_280 == pytest.approx(0.068, abs=0.0005)
    assert count_bits(14_280, 85, 1) / 14_280 == pytest.approx(0.034, abs=0.0005)
    assert count_bits(14_280, 170, 6) / 14_280 == pytest.approx(0.082, abs=0.0005)
