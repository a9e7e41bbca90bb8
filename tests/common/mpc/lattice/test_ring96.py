"""Products modulo 2^96 against whole numbers, for arbitrary factors and for those that strain doubles most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.fixedpoint import Words
from common.mpc.lattice import ring96
from common.mpc.lattice.ring import DEGREE, REACH, Integers, integers, spectrum
from common.mpc.lattice.ring96 import (
    CUT_BITS,
    LIMB_BITS,
    LIMBS,
    SMALL,
    WORDS,
    Long,
    Sum,
    Wide,
    cut,
    cut_limbs,
    cut_upper,
    inner,
    joined,
    limbs,
    thirds,
    thirds_joined,
    thirds_upper,
    upper,
    weighted,
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
    return np.frombuffer(np.random.default_rng(seed).bytes(4 * int(np.prod(shape))), np.uint32).reshape(shape).copy()


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


def test_thirds_and_digits_stand_for_their_words_within_what_the_bound_takes_them_for() -> None:
    numbers = [n % MODULUS for n in ENDS] + whole(drawn(0, WORDS, 3000))
    found, digits = thirds(long_of(numbers)), ring96._digits(long_of(numbers))
    assert found.min() >= -(1 << 31) and found.max() < 1 << 31 and np.abs(digits).max() <= 1 << ring96.DIGIT_BITS - 1
    for parts, size in ((found, 32), (digits, ring96.DIGIT_BITS)):
        assert (sum(part.astype(object) << size * i for i, part in enumerate(parts)) % MODULUS).tolist() == numbers
    assert whole(thirds_joined(found)) == numbers and thirds_upper(found).tolist() == [n >> 32 for n in numbers]
    assert cut(found).tolist() == [(n + (1 << 31) >> 32) % (1 << 64) for n in numbers]
    one = DEGREE**0.5
    assert 2.0**31 * one * one == REACH and 3 * ring96.ADDED * (2.0 ** (ring96.DIGIT_BITS - 1) * one) ** 2 < REACH / 8
    assert 3 * ring96.ADDED <= 64  # products that are added before the way back, in `ring`


@pytest.mark.parametrize("at", [1, 511])
def test_the_largest_thirds_are_multiplied_by_ternary_polynomials_exactly(at: int) -> None:
    """At the reach itself."""
    word = thirds_joined(np.stack([waves(32, at)] * WORDS))
    for small in TERNARY:
        assert whole(thirds_joined(Wide(word).times(spectrum(small)))) == product(whole(word), small.tolist())


@pytest.mark.parametrize(("pairs", "digits"), [(1, 3), (ring96.ADDED + 1, 3), (ring96.ADDED + 1, 2)])
def test_sums_of_the_largest_numbers_with_the_largest_words_are_exact(pairs: int, digits: int) -> None:
    digit = np.clip(
        waves(ring96.DIGIT_BITS, 1), 1 - (1 << 11), None
    )  # so that three are a number of 36 bits, and two one of 24
    word = long_of([sum(int(d) << ring96.DIGIT_BITS * i for i in range(ring96.DIGITS)) for d in digit])
    number = sum((digit << ring96.DIGIT_BITS * i for i in range(digits)), np.zeros(DEGREE, np.int64))
    most = 1 << ring96.DIGIT_BITS * digits - 1
    other = np.random.default_rng(0).integers(-most, most, DEGREE)
    total = Sum(2, digits)
    for _ in range(pairs):
        total.add(np.stack([number, other]).view(np.uint64), word)
    for found, factor in zip(joined(total.total), (number, other), strict=True):
        assert whole(found) == [pairs * n % MODULUS for n in product(whole(word), factor.tolist())]


@pytest.mark.parametrize("bits", [31, 43])
def test_sums_of_weighted_polynomials_and_inner_products_are_exact(bits: int) -> None:
    rng, long = np.random.default_rng(bits), drawn(bits, 70, WORDS, DEGREE)
    numbers = rng.integers(-(1 << bits), 1 << bits, 70)
    numbers[:2] = -(1 << bits), (1 << bits) - 1
    long[0] = long_of([MODULUS >> 1] * DEGREE)
    words = [whole(one) for one in long]
    want = [sum(int(w) * n for w, n in zip(numbers, at, strict=True)) % MODULUS for at in zip(*words, strict=True)]
    assert whole(joined(weighted(numbers.view(np.uint64), long))) == want
    small = rng.integers(-1, 2, (2, DEGREE))
    found = joined(inner(small, long))
    for k in range(2):
        for j in (0, 1, 69):
            assert whole(found[k, j]) == [sum(int(s) * n for s, n in zip(small[k], words[j], strict=True)) % MODULUS]
