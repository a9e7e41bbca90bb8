"""Arithmetic modulo 2^31 - 1 against Python's integers, and elements without bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mpc import field
from common.mpc.field import Elements, P
from common.mpc.prg import Prg, Purpose

numbers = st.one_of(st.integers(0, P - 1), st.sampled_from([0, 1, P - 1, P // 2, 1 << 30]))


def of(*values: int) -> Elements:
    return np.array(values, np.uint32)


@given(a=numbers, b=numbers)
def test_sums_differences_and_products_are_those_of_integers(a: int, b: int) -> None:
    assert field.add(of(a), of(b))[0] == (a + b) % P
    assert field.subtract(of(a), of(b))[0] == (a - b) % P
    assert field.multiply(of(a), of(b))[0] == a * b % P


@given(values=st.lists(numbers, min_size=6, max_size=6), vector=st.lists(numbers, min_size=3, max_size=3))
def test_a_matrix_times_a_vector(values: list[int], vector: list[int]) -> None:
    rows = [values[:3], values[3:]]
    expected = [sum(x * y for x, y in zip(row, vector, strict=True)) % P for row in rows]
    assert field.apply(of(*values).reshape(2, 3), of(*vector)).tolist() == expected


@pytest.mark.parametrize("terms", [1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_000])
def test_the_largest_sums_do_not_overflow(terms: int) -> None:
    largest = np.full((1, terms), P - 1, np.uint32)
    assert field.apply(largest, largest[0]).tolist() == [terms % P]  # (-1) * (-1) each
    halves = np.full(terms, (1 << 31) - 2, np.uint32)
    assert field.apply(largest, halves).tolist() == [(P - 1) * (P - 1) * terms % P]


def test_elements_are_the_words_of_the_stream_while_none_is_refused() -> None:
    prg = Prg(bytes(32))
    drawn = field.elements(prg, Purpose.BIN_MATRIX, 3, 1000)
    assert (drawn == (prg.half_words(Purpose.BIN_MATRIX, 3, 1000) & P)).all()
    assert drawn.max() < P and len(np.unique(drawn)) > 990


def test_refused_words_are_replaced_by_ones_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(self: Prg, purpose: Purpose, counter: int, count: int) -> Any:
        stream = np.arange(count, dtype=np.uint32)
        stream[[1, 4, 6]] = P, P + (1 << 31), P  # 31 bits of each are P
        return stream

    monkeypatch.setattr(Prg, "half_words", words)
    assert field.elements(Prg(bytes(32)), Purpose.BIN_MATRIX, 0, 6).tolist() == [0, 7, 2, 3, 8, 5]


def test_fewer_values_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Prg, "half_words", lambda self, *_: np.full(65, P - 1, np.uint32) - np.r_[0, [3] * 64].astype(np.uint32)
    )
    assert field.elements(Prg(bytes(32)), Purpose.COUNT_FACTOR, 0, 1, P - 1).tolist() == [P - 4]
