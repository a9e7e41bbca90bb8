"""Slots and folded coefficients: encoding, its error, and that products of columns and slots are those of their transforms."""

from __future__ import annotations

import numpy as np
import pytest

from common.mpc.lattice.embedding import BLOCK, NARROWED, encoded, folded, turned
from common.mpc.lattice.ring import DEGREE, integers, spectrum

ROOTS = np.exp(1j * np.pi * (4 * np.arange(BLOCK) + 1) / DEGREE)


def test_slots_are_values_at_the_roots() -> None:
    rng = np.random.default_rng(0)
    polynomial, slots = rng.integers(-100, 100, DEGREE), spectrum
    for place in (0, 1, 700, BLOCK - 1):
        value = np.sum(polynomial * ROOTS[place] ** np.arange(DEGREE))
        assert slots(polynomial)[place] == pytest.approx(value)


@pytest.mark.parametrize("scale", [2.0**9, 2.0**20, 2.0**40])
def test_encoding_is_off_by_its_rounding_alone(scale: float) -> None:
    rng = np.random.default_rng(1)
    slots = np.exp(2j * np.pi * rng.random(BLOCK))
    polynomial = encoded(slots, scale)
    off = spectrum(polynomial) - scale * slots
    assert np.linalg.norm(off) <= 32 * np.sqrt(BLOCK) * 1.001
    assert off.std() == pytest.approx(np.sqrt(DEGREE / 12), rel=0.1)
    assert np.linalg.norm(polynomial) == pytest.approx(scale, rel=32 / scale)
    for worst in (np.ones(BLOCK), ROOTS, ROOTS**5):  # all in one coefficient
        assert np.abs(encoded(worst, scale)).max() == scale


def test_slots_are_multiplied_by_products() -> None:
    rng = np.random.default_rng(2)
    left, right = (np.exp(2j * np.pi * rng.random(BLOCK)) for _ in range(2))
    product = integers(spectrum(encoded(left, 2.0**20)) * spectrum(encoded(right, 2.0**20)))
    assert np.abs(spectrum(product) / 2.0**40 - left * right).max() < 1e-3


@pytest.mark.parametrize("rows", [1, BLOCK, BLOCK + 1, 3 * BLOCK - 5])
def test_columns_times_slots_are_their_transforms_times_folded_coefficients(rows: int) -> None:
    rng = np.random.default_rng(rows)
    x, blocks = rng.integers(-(2**16), 2**16, (3, rows)), -(-rows // BLOCK)
    x[2] = 1 << 16  # a column of one value stands in the first of each block's coefficients
    r = np.zeros(blocks * BLOCK)
    r[:rows] = rng.standard_normal(rows)
    polynomials = encoded(r.reshape(blocks, BLOCK), 2.0**40)
    once = rng.integers(-(2**62), 2**62, polynomials.shape)
    f = (folded((polynomials - once).view(np.uint64)) + folded(once.view(np.uint64))).view(np.int64)
    got = turned(x) @ f.reshape(-1) * 2.0 ** (NARROWED - 40)
    assert np.abs(got - x @ r[:rows]).max() < 5 * np.sqrt(rows) * 2.0**NARROWED / 6
    assert np.abs(turned(x)).max() <= (1 << 16) * BLOCK / 2**NARROWED
