"""Arithmetic modulo 2^128 against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.ring128 import Doubles, add, left, negative, product, right, signed, subtract, times, unsigned

RING = 1 << 128
EDGES = [0, 1, 2**64 - 1, 2**64, 2**127, 2**128 - 1, 2**128 - 2**64]
VALUES = st.one_of(st.integers(0, RING - 1), st.sampled_from(EDGES))


def doubles(values: list[int]) -> Doubles:
    return np.array([[value % 2**64, value >> 64] for value in values], np.uint64).reshape(-1, 2)


def whole(values: Doubles) -> list[int]:
    return [int(low) + (int(high) << 64) for low, high in values.reshape(-1, 2)]


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20), st.integers(1, 63), st.integers(0, 2**64 - 1))
def test_sums_and_shifts(pairs: list[tuple[int, int]], shift: int, factor: int) -> None:
    ones, others = [a for a, _ in pairs], [b for _, b in pairs]
    a, b = doubles(ones), doubles(others)
    assert whole(add(a, b)) == [(x + y) % RING for x, y in pairs]
    assert whole(subtract(a, b)) == [(x - y) % RING for x, y in pairs]
    assert whole(negative(a)) == [-x % RING for x in ones]
    assert whole(left(a, shift)) == [(x << shift) % RING for x in ones]
    assert whole(right(a, shift)) == [x >> shift for x in ones]
    assert whole(times(a, np.uint64(factor))) == [x * factor % RING for x in ones]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
def test_words_are_read_as_they_are_meant(values: list[int]) -> None:
    words = np.array(values, np.int64).view(np.uint64)
    assert whole(signed(words)) == [value % RING for value in values]
    assert whole(unsigned(words)) == [value % 2**64 for value in values]


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.data())
def test_products(i: int, k: int, j: int, data: st.DataObject) -> None:
    a, b = (data.draw(st.lists(VALUES, min_size=size, max_size=size)) for size in (i * k, k * j))
    found = product(doubles(a).reshape(i, k, 2), doubles(b).reshape(k, j, 2))
    lines, columns = [a[at : at + k] for at in range(0, i * k, k)], [b[at::j] for at in range(j)]
    assert whole(found) == [sum(x * y for x, y in zip(line, c, strict=True)) % RING for line in lines for c in columns]


@pytest.mark.parametrize("terms", [511, 4095, 4096, 4097, 9000])
def test_sums_of_the_largest_limbs_are_exact(terms: int) -> None:
    """Also over more terms than are added up at a time, of matrices that are turned round."""
    most = doubles([RING - 1] * (2 * terms))
    found = product(most.reshape(2, terms, 2), most.reshape(2, terms, 2).swapaxes(0, 1))
    assert whole(found) == [terms] * 4


@pytest.mark.parametrize("shape", [(31, 16, 63), (33, 17, 65), (70, 40, 130), (32, 1, 64)], ids=str)
def test_products_in_pieces(shape: tuple[int, int, int]) -> None:
    i, k, j = shape
    rng = np.random.default_rng(k)
    a, b = (rng.integers(0, 2**64, (*size, 2), np.uint64) for size in ((i, k), (k, j)))
    lines, columns = (np.array(whole(side), object).reshape(side.shape[:2]) for side in (a, b))
    assert whole(product(a, b)) == [int(value) % RING for value in (lines @ columns).ravel()]
