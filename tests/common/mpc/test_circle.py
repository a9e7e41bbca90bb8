"""The unit circle and the fitted coefficients: right, and the same bits whatever the processor can do."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.learn.trees.waves import factors as wave_factors
from common.learn.trees.waves import gain_inverse, leaf_inverse, link_tables
from common.mpc.circle import Turns, harmonics, unit_circle
from common.mpc.fitted import half_tanh, least_squares, waves
from common.mpc.fixedpoint import LinkScales, encode
from common.mpc.link import Fourier, fourier_coefficients
from common.mpc.sine import Circle
from common.mpc.sine import tables as sine_tables

ENDS = np.arange(2**11, dtype=np.uint32) << np.uint32(21)  # the places of the circle's table
DIGEST = "3ab0da94a88fea970e79baf433217caca0e66e54c39ee316cb58e1631b443d10"


def off_the_circle(turns: Turns) -> float:
    cos, sin = unit_circle(turns)
    return float(np.abs(cos + 1j * sin - np.exp(2j * np.pi * turns.astype(np.float64) / 2.0**32)).max())


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_the_unit_circle_is_accurate(turns: list[int]) -> None:
    assert off_the_circle(np.array(turns, np.uint32)) < 1e-11


def test_the_unit_circle_is_accurate_where_its_series_is_longest() -> None:
    assert off_the_circle(ENDS) < 1e-15
    assert 1e-12 < off_the_circle(ENDS - np.uint32(1)) < 1e-11


def test_quarters_of_the_circle_are_exact() -> None:
    cos, sin = unit_circle(np.array([0, 1 << 30, 1 << 31, 3 << 30], np.uint32))
    assert cos.tolist() == [1.0, 0.0, -1.0, 0.0] and sin.tolist() == [0.0, 1.0, 0.0, -1.0]
    assert not np.signbit([cos[1], cos[3], sin[0], sin[2]]).any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 16))
def test_harmonics_are_those_of_the_multiple(turns: int, terms: int) -> None:
    for k, (cos, sin) in enumerate(harmonics(np.array([turns], np.uint32), terms), 1):
        turned = 2.0 * math.pi * ((k * turns) % 2**32) / 2.0**32
        assert abs(cos[0] - math.cos(turned)) < 1e-8 and abs(sin[0] - math.sin(turned)) < 1e-8


def test_the_target_of_the_link_is_right() -> None:
    u = np.arange(4097) * 96 / 2.0**15
    assert np.abs(half_tanh(96, 1 << 15) - np.tanh(u / 2.0) / 2.0).max() < 2e-16


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_least_squares_solves_the_normal_equations(penalty: float) -> None:
    basis = waves(6, 3, 15)[1]
    target = half_tanh(96, 1 << 15)
    found = np.array(least_squares(basis, target, penalty))
    products = basis.T @ basis + penalty * np.eye(6)
    assert np.abs(products @ found - basis.T @ target).max() < 1e-3  # the basis is rounded to 24 bits
    assert np.abs(found - np.linalg.solve(products, basis.T @ target)).max() < 1e-6


def test_least_squares_is_exact_where_whole_numbers_are() -> None:
    basis = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    found = least_squares(basis, basis @ np.array([2.0, -3.0]))
    assert [Fraction(value).limit_denominator(10**9) for value in found] == [2, -3]


def made() -> str:
    """SHA-256 of public factors and of dealt tables of each kind, at angles all over the circle."""
    c = np.arange(1 << 14, dtype=np.uint32) * np.uint32(2654435761)
    told = hashlib.sha256()
    for link, rows in (
        (Fourier(), 1),
        (Fourier(), 30_000),
        (Fourier(64, 16), 1000),
        (Fourier(32, 12, odd=False, dithered=True), 1000),
    ):
        for words in link.factors(c, LinkScales.choose(2.5, rows)):
            told.update(np.ascontiguousarray(words))
    for words in (*Circle(c).value(40), *Circle(c).slope(40)):
        told.update(words)
    for values in Fourier().table_values(c):
        told.update(encode(values, 26))
    for words in sine_tables(c, 26):
        told.update(words)
    narrow = c >> np.uint32(10)
    for coefficients in (gain_inverse(0.01), leaf_inverse(0.01)):
        told.update(encode(wave_factors(narrow, coefficients), 40))
    for words32 in (*np.split(link_tables(14).factors, 4, axis=1), *link_tables(14).dealt):
        told.update(np.ascontiguousarray(words32))
    return told.hexdigest()


def test_public_factors_are_these_bits() -> None:
    assert made() == DIGEST


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the names of what is switched off are this processor's")
def test_public_factors_are_the_same_bits_on_an_older_processor() -> None:
    """Without the wide instructions of numpy and of its linear algebra: a library's sines and products would differ."""
    ask = "from numpy._core._multiarray_umath import __cpu_dispatch__ as d; print(' '.join(d))"
    options = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    older = {**os.environ, "NPY_DISABLE_CPU_FEATURES": options, "OPENBLAS_CORETYPE": "Nehalem"}
    code = "from tests.common.mpc.test_circle import made; print(made())"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=older, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == DIGEST == made()


def test_the_coefficients_are_those_of_the_fit() -> None:
    u = np.linspace(0.0, 12.0, 4097)
    fit = np.sin(2.0 * np.pi / 32 * np.outer(u, np.arange(1, 9)))
    solved = np.linalg.lstsq(fit, np.tanh(u / 2.0) / 2.0, rcond=None)[0]
    assert np.abs(solved - fourier_coefficients(32, 8)).max() < 1e-6
    u = np.linspace(0.0, 64 / 7, 4097)
    fit = np.sin(2.0 * np.pi / 256 * 7 * np.outer(u, np.arange(1, 10, 2)))
    solved = np.linalg.lstsq(fit, np.tanh(u / 2.0) / 2.0, rcond=None)[0]
    assert np.abs(solved - fourier_coefficients(Fraction(256, 7), 5, odd=True)).max() < 1e-6
