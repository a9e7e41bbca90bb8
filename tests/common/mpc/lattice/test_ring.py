"""Products of polynomials against whole numbers, for arbitrary factors and for those that strain doubles most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.fixedpoint import Words
from common.mpc.lattice import ring
from common.mpc.lattice.ring import DEGREE, REACH, WIDE, Integers

MASK, TOP = (1 << 64) - 1, np.uint64(1 << 63)
SLOT = 20  # bytes of a coefficient of a product: 64 + 64 + 12 bits, and a sign


def plain(left: list[int], right: list[int]) -> Words:
    """The product modulo X^N + 1 and 2^64, of unsigned coefficients, by one product of two long whole numbers."""
    long = [int.from_bytes(b"".join(c.to_bytes(SLOT, "little") for c in side), "little") for side in (left, right)]
    found = (long[0] * long[1]).to_bytes(2 * DEGREE * SLOT, "little")
    slots = [int.from_bytes(found[at : at + SLOT], "little") for at in range(0, len(found), SLOT)]
    return np.array([(a - b) & MASK for a, b in zip(slots[:DEGREE], slots[DEGREE:], strict=True)], np.uint64)


def product(left: Words | Integers, right: Words | Integers) -> Words:
    return plain(left.view(np.uint64).tolist(), right.view(np.uint64).tolist())


def drawn(seed: int, *shape: int) -> Words:
    return np.frombuffer(np.random.default_rng(seed).bytes(8 * int(np.prod(shape))), np.uint64).reshape(shape)


def waves(bits: int, at: int = 1) -> Integers:
    """Numbers as large as so many bits hold, whose signs follow one root of the transform: all of them add up there."""
    turn = np.cos(np.pi * (4 * at + 1) / DEGREE * np.arange(DEGREE))
    return np.where(turn >= 0, (1 << bits - 1) - 1, -(1 << bits - 1)).astype(np.int64)


TERNARY = [np.ones(DEGREE, np.int64), -np.ones(DEGREE, np.int64), np.sign(waves(3)), np.sign(waves(3, 511))]
WORDS = [
    np.full(DEGREE, MASK, np.uint64),
    np.full(DEGREE, TOP),
    np.full(DEGREE, TOP - np.uint64(1)),
    waves(64).view(np.uint64),
    sum(
        (waves(size).view(np.uint64) << np.uint64(at) for at, size in ((0, 22), (22, 22), (44, 20))),
        np.zeros(DEGREE, np.uint64),
    ),
]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_words_times_ternary_ones_are_exact(seed: int) -> None:
    words = drawn(seed, DEGREE)
    small = (drawn(seed + 1, DEGREE) % np.uint64(3)).astype(np.int64) - 1
    assert np.array_equal(ring.Wide(words).times(ring.spectrum(small)), product(words, small))


@pytest.mark.parametrize("words", WORDS)
def test_the_largest_words_times_ternary_ones_are_exact(words: Words) -> None:
    whole = ring.Wide(words)
    for small in TERNARY:
        assert np.array_equal(whole.times(ring.spectrum(small)), product(words, small))


def test_many_polynomials_are_multiplied_at_once() -> None:
    words, small = drawn(1, 3, DEGREE), np.stack(TERNARY[:3])
    found = ring.Wide(words).times(ring.spectrum(small))
    for one, factor, got in zip(words, small, found, strict=True):
        assert np.array_equal(got, product(one, factor))
    assert np.array_equal(ring.Wide(words)[1].times(ring.spectrum(small[0])), product(words[1], small[0]))


def test_limbs_are_within_what_the_bound_takes_them_for() -> None:
    def norm(sizes: tuple[int, ...]) -> float:
        edges = np.concatenate([*WORDS, drawn(5, DEGREE)])
        found = ring.limbs(edges, sizes)
        used = np.uint64((1 << sum(sizes)) - 1)
        assert np.array_equal(ring.joined(found, sizes) & used, edges & used)
        assert all(np.abs(limb).max() <= 1 << size - 1 for limb, size in zip(found, sizes, strict=True))
        return 2.0 ** (max(sizes) - 1) * DEGREE**0.5

    assert norm(WIDE) * 2.0**5 * DEGREE**0.5 <= REACH


def test_errors_stay_below_the_bound_of_the_proof() -> None:
    """At the reach: what is rounded away, against 347 / 2^53 of the product of norms."""
    left, right = waves(16).astype(float), waves(16, 700).astype(float)
    values = ring.spectrum(left) * ring.spectrum(right)
    folded = np.fft.fft(values, norm="forward") * ring._BACK
    exact = ring.integers(values)
    off = max(np.abs(folded.real - exact[: ring.HALF]).max(), np.abs(folded.imag - exact[ring.HALF :]).max())
    assert off < 347 * 2.0**-53 * np.linalg.norm(left) * np.linalg.norm(right)


def test_inner_products_are_constant_coefficients() -> None:
    left, right = drawn(7, DEGREE), drawn(8, DEGREE)
    assert product(ring.inverted(left), right)[0] == np.einsum("i,i->", left, right)
    assert np.array_equal(ring.inverted(ring.inverted(left)), left)


def test_a_known_product() -> None:
    """(X^4095 + 2) (X + 3) = 3 X^4095 + 2 X + 5 where X^4096 is -1."""
    words, small = np.zeros(DEGREE, np.uint64), np.zeros(DEGREE, np.int64)
    words[[0, -1]], small[[0, 1]] = (2, 1), (3, 1)
    want = np.zeros(DEGREE, np.uint64)
    want[[0, 1, -1]] = 5, 2, 3
    assert np.array_equal(ring.Wide(words).times(ring.spectrum(small)), want)
