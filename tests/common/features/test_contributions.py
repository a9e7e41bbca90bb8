"""Contributions: the strongest against a row, by a loop; columns of one text are one; nothing else is named."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.features.contributions import FEW, contributions, grouped, strongest

PART = st.sampled_from([-1.0, 0.0, 0.1, 0.5, 2.0])


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 30), st.integers(0, 6)), elements=PART),
    st.integers(0, 4),
)
def test_codes_are_what_a_loop_over_rows_gives(parts: np.ndarray, most: int) -> None:
    codes = strongest(parts, most, 0.1)
    assert codes.shape == (len(parts), most)
    for row, got in zip(parts, codes.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda k: (-row[k], k))
        want = [k + 1 for k in order if row[k] > 0.1][:most]
        assert got == want + [0] * (most - len(want))


def test_many_columns_and_rows_beyond_a_block() -> None:
    parts = np.random.default_rng(1).normal(size=(40_000, 300))
    codes = strongest(parts, 5, 0.0)
    for k in (0, 16_384, 39_999):
        np.testing.assert_array_equal(codes[k], np.argsort(-parts[k])[:5] + 1)


@settings(deadline=None)
@given(st.integers(0, 8), st.integers(1, FEW), st.data())
def test_rows_asked_for_by_few_have_the_same_bits_as_among_many(width: int, rows: int, data: st.DataObject) -> None:
    groups = data.draw(st.lists(st.none() | st.integers(0, 2), min_size=width, max_size=width))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, weights, means = rng.normal(size=(FEW + 1, width)), rng.normal(size=width), rng.normal(size=width)
    many = contributions(x, weights, means, groups, 3)
    np.testing.assert_array_equal(contributions(x[:rows], weights, means, groups, 3), many[:rows])


def test_columns_of_one_text_are_one_group_and_without_text_none() -> None:
    groups, texts = grouped(["a", "b", "c", "a", "d"], {"a": "late", "b": None, "c": "low use", "d": "late"})
    assert texts == ("late", "low use")
    assert groups == [0, None, 1, 0, 0]
    x = np.array([[1.0, 9.0, 1.0, 2.0, 0.5]])
    parts = contributions(x, np.array([0.5, 9.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 0.5, 1.0, 0.0]), groups, 2)
    np.testing.assert_allclose(parts, [[0.5 + 1.0 + 1.0, -0.5]])


def test_what_speaks_for_an_applicant_is_no_reason() -> None:
    assert not strongest(np.array([[-3.0, 0.05]]), 2, 0.1).any()
