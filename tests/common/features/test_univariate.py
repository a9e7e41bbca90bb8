"""One column by itself, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from common.features.univariate import describe


def test_information_value_of_two_levels_is_the_formulas() -> None:
    values = np.array(["a"] * 600 + ["b"] * 400 + ["a", "b"] * 50, object)
    label = np.concatenate([np.repeat([1.0, 0.0], [60, 540]), np.repeat([1.0, 0.0], [100, 300])])
    found = describe("x", "categorical", values, 1000, label, 1)
    bad, good = np.array([60.5, 100.5]), np.array([540.5, 300.5])
    p, q = bad / bad.sum(), good / good.sum()
    assert found.iv == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    assert (found.missing, found.prepared) == (0.0, 1)


def test_a_number_that_tells_nothing_has_none_and_one_that_tells_has_much() -> None:
    rng = np.random.default_rng(2)
    label = (rng.random(4000) < 0.2).astype(np.float64)
    noise, signal = rng.normal(size=6000), np.append(label, np.zeros(2000)) + rng.normal(size=6000)
    iv = [describe("x", "numeric", v, 4000, label, 1).iv or 0.0 for v in (noise, signal)]
    assert iv[0] < 0.03 < 0.5 < iv[1]
    assert describe("x", "numeric", noise, 4000, None, 1).iv is None


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_missing_values_are_a_bin_of_their_own(kind: str) -> None:
    rng = np.random.default_rng(2)
    missing = rng.random(3000) < 0.3
    numbers = np.where(missing, np.nan, rng.normal(size=3000))
    words = np.array([None if m else "x" for m in missing], object)
    label = missing[:2000].astype(np.float64)
    values = numbers if kind == "numeric" else words
    found = describe("x", kind, values, 2000, label, 0)  # type: ignore[arg-type]
    assert found.missing == pytest.approx(missing[:2000].mean())
    assert found.iv is not None and found.iv > 5
    assert found.psi < 0.05  # chance alone: bins * (1 / 1000 + 1 / 2000)


def test_held_out_rows_that_differ_have_a_large_index() -> None:
    rng = np.random.default_rng(2)
    values = np.append(rng.normal(size=4000), rng.normal(1.0, size=2000))
    assert describe("x", "numeric", values, 4000, None, 1).psi > 0.25
    levels = np.array(["old"] * 4000 + ["new"] * 2000, object)
    assert describe("x", "categorical", levels, 4000, None, 1).psi > 5


def test_nothing_and_a_constant_are_told_too() -> None:
    for values in (np.full(300, np.nan), np.ones(300)):
        found = describe("x", "numeric", values, 200, np.append(np.ones(20), np.zeros(180)), 0)
        assert (found.iv, found.psi) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))
