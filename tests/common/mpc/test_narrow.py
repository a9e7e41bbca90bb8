"""Words of 22 bits: packing loses nothing, products are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mpc import narrow

WORDS = st.lists(st.integers(0, (1 << narrow.BITS) - 1), max_size=70)


@given(WORDS)
def test_packing_keeps_every_bit_in_two_and_three_quarter_bytes(words: list[int]) -> None:
    given_words = np.array(words, np.uint32)
    packed = narrow.pack(given_words)
    assert len(packed) == narrow.packed_size(len(words)) and len(packed) <= 2.75 * len(words) + 2.25
    assert np.array_equal(narrow.unpack(packed, (len(words),)), given_words)


@given(st.binary(max_size=40))
def test_bytes_are_whole_words_and_back(data: bytes) -> None:
    array = np.frombuffer(data, np.uint8)
    words = narrow.as_words(array)
    assert len(words) == narrow.word_count(len(data))
    assert narrow.from_words(words, len(data)).tobytes() == data


@pytest.mark.parametrize("rows", [1, 2047, 2049, 5000])
def test_products_are_exact_at_the_largest_values(rows: int) -> None:
    rng = np.random.default_rng(rows)
    extreme = np.uint32(1 << (narrow.BITS - 1))  # the most negative integer
    matrix = rng.choice(np.array([extreme, extreme - 1, 1], np.uint32), (3, rows))
    vectors = rng.choice(np.array([extreme, extreme - 1, 5], np.uint32), (2, rows))
    want = [[sum(int(a) * int(b) for a, b in zip(v, m, strict=True)) % (1 << narrow.BITS) for m in matrix] for v in vectors]
    assert narrow.product(narrow.signed(matrix).astype(np.float64), vectors).tolist() == want


@pytest.mark.parametrize("rows", [1, 8191, 8193, 20_000])
def test_products_of_bytes_are_exact_at_the_largest_values(rows: int) -> None:
    rng = np.random.default_rng(rows)
    extreme = np.uint32(1 << (narrow.BITS - 1))
    matrix = rng.choice(np.array([255, 1, 0], np.uint8), (3, rows))
    vectors = rng.choice(np.array([extreme, extreme - 1], np.uint32), (2, rows))
    want = vectors.astype(object) @ matrix.T.astype(object) % (1 << narrow.BITS)
    assert np.array_equal(narrow.product(matrix, vectors), want.astype(np.uint32))


def test_sums_of_products_are_those_modulo_a_power_of_two() -> None:
    rng = np.random.default_rng(3)
    factor, vectors = (rng.integers(0, 1 << 32, shape, np.uint32) for shape in (1000, (2, 3, 1000)))
    want = (vectors.astype(object) * factor.astype(object)).sum(2) % (1 << 32)
    assert np.array_equal(narrow.sums(factor, vectors), want.astype(np.uint32))
