"""Reals to ring words and back, and the bounds of a job's scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RangeError
from common.mpc.fixedpoint import (
    RESIDUAL_SCALE,
    U_SCALE,
    UPDATE_SCALE,
    WEIGHT_LIMIT,
    X_SCALE,
    LinkScales,
    angle,
    as_words,
    check_range,
    decode,
    encode,
    top32,
)


@given(st.lists(st.floats(-63.0, 63.0), min_size=1), st.integers(0, 46))
def test_round_trip(values: list[float], scale: int) -> None:
    back = decode(encode(values, scale), scale)
    assert np.abs(back - values).max() <= 0.5 * 2.0**-scale


@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_sums_and_products_wrap_as_integers(a: float, b: float) -> None:
    x, y = encode([a], 10), encode([b], 20)
    product = int(x.view(np.int64)[0]) * int(y.view(np.int64)[0])
    assert int((x * y)[0]) == product % 2**64
    assert decode(x - encode([b], 10), 10)[0] == pytest.approx(a - b, abs=2**-10)


def test_as_words() -> None:
    assert as_words(np.array([-1, 2], np.int32)).tolist() == [2**64 - 1, 2]


def test_the_budget_adds_up() -> None:
    assert RESIDUAL_SCALE + X_SCALE == UPDATE_SCALE
    assert WEIGHT_LIMIT == 64.0
    assert U_SCALE + 12 < 64  # the longest period still divides 2^64


@given(st.integers(1, 10**9), st.floats(0.01, 4.0))
def test_link_scales(rows: int, step: float) -> None:
    try:
        scales = LinkScales.choose(step, rows)
    except RangeError:
        assert rows / step > 2**30
        return
    assert scales.table + scales.factor == RESIDUAL_SCALE
    assert 8 <= scales.table <= 20
    assert scales.step_over_n == step / rows
    # A factor keeps at least as many bits of a residual as a table does, less one.
    assert scales.step_over_n * 2.0**scales.factor >= 2.0 ** (scales.table - 1)


@given(st.floats(-2.0, 30.0))
def test_short_words_keep_the_bits_that_were_asked_for(bits: float) -> None:
    """n / step from 2^-2 to 2^30: as short as they may be, and a step over n of an even number of units, within one."""
    rows = 1 << 30
    step = rows / 2.0**bits
    scales = LinkScales.choose(step, rows, 12)
    assert scales.width == (6 if bits <= 18 else 7 if bits <= 26 else 8) and scales.residual == RESIDUAL_SCALE
    assert 5 <= scales.table <= 20 and scales.factor >= scales.table + bits
    whole = math.ldexp(scales.step_over_n, scales.summed)
    if scales.spare:
        assert whole % 2 == 0 and abs(whole - math.ldexp(step / rows, scales.summed)) <= 1.0
        assert scales.coarse == (whole < 2**16)
    else:
        assert scales.step_over_n == step / rows and not scales.coarse
    assert scales.sent_width == (6 if bits <= 23 else 7)
    sent = LinkScales.choose(step / 2**13, rows >> 13, 12)
    assert sent.sent_width == (5 if bits <= 15 else 6 if bits <= 23 else 7) and sent.cut >= sent.spare


def test_a_step_over_fewer_rows_keeps_the_split() -> None:
    """As zeros fill up what was dealt for more: what was dealt is as it was, and the step is over the rows of data."""
    dealt = LinkScales.choose(4.0, 1_250_000, 12)
    over = dealt.over(4.0, 1_000_000)
    assert (over.table, over.factor, over.spare, over.cut) == (dealt.table, dealt.factor, dealt.spare, dealt.cut)
    assert over.step_over_n == pytest.approx(4e-6, rel=2.0**-11)


def test_a_million_rows_fit() -> None:
    assert LinkScales.choose(2.0, 10**6).table == 13
    assert LinkScales.choose(2.0, 10**9).table == 8
    assert [LinkScales.choose(4.0, rows, 12).width for rows in (1 << 20, 10**7)] == [6, 7]


@pytest.mark.parametrize(("step", "rows"), [(2.0, 10**12), (1e-9, 1000)])
def test_absurd_sizes_name_the_numbers(step: float, rows: int) -> None:
    with pytest.raises(RangeError) as caught:
        LinkScales.choose(step, rows)
    bits = math.floor((RESIDUAL_SCALE - math.log2(rows / step)) / 2)
    assert str(rows) in str(caught.value) and str(bits) in str(caught.value) and "at least 8" in str(caught.value)


@pytest.mark.parametrize(("step", "rows"), [(2.0, 0), (0.0, 10), (-1.0, 10), (math.nan, 10)])
def test_no_step_or_no_rows(step: float, rows: int) -> None:
    with pytest.raises(RangeError, match=f"{rows} rows"):
        LinkScales.choose(step, rows)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), st.integers(32, 64))
def test_top32(words: list[int], bits: int) -> None:
    assert top32(np.array(words, np.uint64), bits).tolist() == [word % 2**bits >> (bits - 32) for word in words]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_shares_reduce_locally(first: int, second: int) -> None:
    """Dropping low bits of both shares moves their sum, modulo the period, by one unit at most."""
    parts = [top32(np.array([word], np.uint64), 43) for word in (first, second)]
    whole = (first + second) % 2**43 >> 11
    assert (whole - int((parts[0] + parts[1])[0])) % 2**32 in (0, 1)


def test_angle() -> None:
    assert angle(np.array([0, 2**31, 2**30], np.uint32)).tolist() == pytest.approx([0, math.pi, math.pi / 2])


def test_check_range() -> None:
    held, beyond = check_range(np.array([-70.0, 64.0, 65.0]), 64.0)
    assert held.tolist() == [-64.0, 64.0, 64.0] and beyond == 2
    inside = np.array([1.0, -2.0])
    held, beyond = check_range(inside, 64.0)
    assert held is inside and beyond == 0
