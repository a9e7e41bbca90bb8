"""Products modulo 2^96 against whole numbers, for arbitrary factors and for those that strain doubles most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, REACH, Integers, integers, spectrum
from common.mpc.lattice.ring96 import (
    CUT_BITS,
    LIMB_BITS,
    LIMBS,
    SMALL,
    WORDS,
    Long,
    cut_limbs,
    cut_upper,
    joined,
    limbs,
    upper,
)
from tests.common.mpc.lattice.test_ring import TERNARY, waves

MODULUS, SLOT = 1 << 96, 26  # bytes of a coefficient of a product: 96 + 96 + 12 bits
ENDS = [
    *(0, 1, MODULUS - 1, MODULUS >> 1, (MODULUS >> 1) - 1),
    *((1 << LIMB_BITS * i + j) - k for i in range(LIMBS) for j in (0, 23) for k in (0, 1)),
]


def whole(long: Long) -> list[int]:
    """Coefficients as whole numbers from 0 to 2^96 - 1."""
    low, middle, high = (word.astype(object) for word in long)
    found: list[int] = (low + (middle << 32) + (high << 64)).tolist()
    return found


def long_of(numbers: list[int]) -> Long:
    data = b"".join((number % MODULUS).to_bytes(12, "little") for number in numbers)
    return np.ascontiguousarray(np.frombuffer(data, np.uint32).reshape(-1, WORDS).T)


def product(left: list[int], right: list[int]) -> list[int]:
    """Modulo X^N + 1 and 2^96, by one product of two long whole numbers."""
    sides = (b"".join((number % MODULUS).to_bytes(SLOT, "little") for number in side) for side in (left, right))
    a, b = (int.from_bytes(side, "little") for side in sides)
    data = (a * b).to_bytes(2 * DEGREE * SLOT, "little")
    slots = [int.from_bytes(data[at : at + SLOT], "little") for at in range(0, len(data), SLOT)]
    return [(x - y) % MODULUS for x, y in zip(slots[:DEGREE], slots[DEGREE:], strict=True)]


def drawn(seed: int, *shape: int) -> Long:
    return np.frombuffer(np.random.default_rng(seed).bytes(4 * int(np.prod(shape))), np.uint32).reshape(shape)


def largest(at: int) -> Long:
    """Words all of whose limbs are as large as they can be, their signs those of one root of the transform."""
    limb = waves(LIMB_BITS, at)
    return joined(np.stack([limb] * LIMBS))


def factor(norm: float, at: int) -> Integers:
    """Integers of this norm at most, all the same size, their signs those of one root."""
    return np.sign(waves(3, at)) * int(norm / DEGREE**0.5)


def test_limbs_stand_for_their_words_and_are_within_what_the_bound_takes_them_for() -> None:
    numbers = [n % MODULUS for n in ENDS] + whole(drawn(0, WORDS, 3000))
    found = limbs(long_of(numbers))
    assert found.min() >= -(1 << LIMB_BITS - 1) and found.max() < 1 << LIMB_BITS - 1
    assert sum(found[i].astype(object) << LIMB_BITS * i for i in range(LIMBS)).__mod__(MODULUS).tolist() == numbers
    assert whole(joined(found)) == numbers
    assert upper(found).tolist() == [number >> 32 for number in numbers]
    assert 2.0 ** (LIMB_BITS - 1) * DEGREE**0.5 * SMALL == REACH


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**61), 2**61), min_size=LIMBS, max_size=LIMBS))
def test_sums_of_limbs_of_any_size_are_joined(sums: list[int]) -> None:
    total = sum(part << LIMB_BITS * i for i, part in enumerate(sums)) % MODULUS
    parts = np.array(sums)[:, None]
    assert whole(joined(parts)) == [total]
    assert upper(parts).tolist() == [total >> 32]


def test_words_of_half_a_coefficient_are_cut_likewise() -> None:
    words = np.array([0, 1, (1 << CUT_BITS) - 1, 1 << CUT_BITS - 1, 1 << 23, (1 << 23) - 1, (1 << 47) + (1 << 23)], np.uint64)
    found = cut_limbs(words)
    assert np.abs(found).max() <= 1 << LIMB_BITS - 1
    assert (cut_upper(found) >> np.uint64(16)).tolist() == words.tolist()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([1, 6, 8]))
def test_products_are_exact(seed: int, bits: int) -> None:
    word, small = drawn(seed, WORDS, DEGREE), np.random.default_rng(seed).integers(-(1 << bits) + 1, 1 << bits, DEGREE)
    sums = integers(spectrum(limbs(word)) * spectrum(small))
    want = product(whole(word), small.tolist())
    assert whole(joined(sums)) == want
    assert upper(sums).tolist() == [number >> 32 for number in want]


@pytest.mark.parametrize("at", [1, 511])
def test_the_largest_products_are_exact(at: int) -> None:
    word = largest(at)
    values = spectrum(limbs(word))
    for small in (*TERNARY, factor(SMALL, at), factor(SMALL, 1024 - at)):
        assert whole(joined(integers(values * spectrum(small)))) == product(whole(word), small.tolist())


def test_sums_of_many_products_are_exact_up_to_the_reach() -> None:
    """Eight at the worst of one root, of which each has an eighth of the reach; cut words too."""
    small = factor(SMALL / 8, 1)
    total = np.zeros((LIMBS, DEGREE // 2), np.complex128)
    for _ in range(8):
        total += spectrum(limbs(largest(1))) * spectrum(small)
    assert whole(joined(integers(total))) == [8 * n % MODULUS for n in product(whole(largest(1)), small.tolist())]
    words: Words = sum((waves(LIMB_BITS).view(np.uint64) << np.uint64(at) for at in (0, 24)), np.zeros(DEGREE, np.uint64))
    words &= np.uint64((1 << CUT_BITS) - 1)
    cut = cut_upper(integers(spectrum(cut_limbs(words)) * spectrum(small)))
    assert [n >> 48 for n in product([w << 48 for w in words.tolist()], small.tolist())] == (cut >> np.uint64(16)).tolist()
