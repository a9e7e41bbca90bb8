"""A share shows nothing by accident, and is linear."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from common.mpc.fixedpoint import Words
from common.mpc.share import Share
from tests.common.mpc.problems import halves

WORDS = arrays.arrays(np.uint64, 5)
SECRET = 0xDEADBEEF12345678


def test_shows_no_words() -> None:
    share = Share(np.array([SECRET, SECRET], np.uint64), 20)
    for shown in (repr(share), str(share), f"{share}", repr([share])):
        assert str(SECRET) not in shown and f"{SECRET:x}" not in shown.lower()
        assert "2 words at scale 20" in shown


LEAKS: list[Callable[[Share], Any]] = [
    bool,
    iter,
    list,
    tuple,
    sum,
    np.asarray,
    np.array,
    lambda share: np.add(share, 1),
    lambda share: share in [1],
    lambda share: 1 if share else 0,
    pickle.dumps,
    copy.copy,
    copy.deepcopy,
    vars,
]


@pytest.mark.parametrize("leak", LEAKS)
def test_does_not_leak(leak: Callable[[Share], Any]) -> None:
    try:
        result = leak(Share(np.array([SECRET], np.uint64), 20))
    except TypeError:
        return
    assert result is False  # `in` may compare by identity; it says nothing of the words


@given(WORDS, WORDS, st.integers(-(2**62), 2**62))
def test_linear(x: Words, y: Words, factor: int) -> None:
    rng = np.random.default_rng(0)
    pairs = [(Share(a, 8), Share(b, 8)) for a, b in zip(halves(x, rng).values(), halves(y, rng).values(), strict=True)]

    def whole(results: list[Share]) -> Words:
        return results[0].words + results[1].words

    assert (whole([a + b for a, b in pairs]) == x + y).all()
    assert (whole([a - b for a, b in pairs]) == x - y).all()
    assert (whole([a.times(factor, 3) for a, _ in pairs]) == x * np.uint64(factor % 2**64)).all()
    assert [a.times(factor, 3).scale for a, _ in pairs] == [11, 11]
    assert (whole([a[1:3] for a, _ in pairs]) == x[1:3]).all()


def test_scales_must_agree() -> None:
    for operation in (Share.__add__, Share.__sub__):
        with pytest.raises(ValueError, match="8 and 9"):
            operation(Share.zero(2, 8), Share.zero(2, 9))


def test_zero() -> None:
    zero = Share.zero(3, 7)
    assert len(zero) == 3 and zero.scale == 7 and not zero.words.any()
