"""What the samples' parameters rest on: the estimates that section 20 states, and that they agree with the standard's table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.sampled import ERROR_DEVIATION
from common.plan.linear import HALF_ROWS
from tests.bench.lattice import (
    LINK_BITS,
    MODULUS_BITS,
    STANDARD,
    as_the_standard_counts,
    distance,
    dual,
    hidden,
    hinted,
    hinted_row,
    primal,
)
from tests.source import ROOT

ATTACKS = [primal, dual]


@pytest.mark.parametrize("attack", ATTACKS)
def test_both_attacks_take_what_the_protocol_says(attack: Callable[..., tuple[int, float]]) -> None:
    _, found = attack()
    assert 199 < found < 203 and 230 < as_the_standard_counts(found) < 236
    assert MODULUS_BITS < STANDARD[192] < STANDARD[128]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_links_wider_words_are_as_hard_as_section_21_says(attack: Callable[..., tuple[int, float]]) -> None:
    """Every sample of it, the key's and what is cut alike: cut bits are errors that are larger still."""
    _, found = attack(bits=LINK_BITS)
    assert 114 < found < 117 and 145 < as_the_standard_counts(found) < 150
    assert MODULUS_BITS < LINK_BITS == 96 < STANDARD[128]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_sums_tell_of_errors_leaves_samples_as_hard(attack: Callable[..., tuple[int, float]]) -> None:
    """The deviations that section 20 states, up to the most rows that are trained; long trainings too."""
    found = [round(hinted(rows, 16), 1) for rows in (30_000, 200_000, 1_000_000, HALF_ROWS)]
    assert found == [2.3, 2.2, 1.8, 1.2]
    assert hinted(HALF_ROWS, 1000) > 1.15 and hinted_row(300, 1000) > 2.29 > ERROR_DEVIATION / 2**0.5 - 0.01
    assert as_the_standard_counts(attack(deviation=1.15)[1]) > 225


def test_the_largest_eigenvalue_of_sums_is_what_the_deviations_take_it_for() -> None:
    rng = np.random.default_rng(0)
    for rows, steps in ((3000, 16), (24, 16), (24, 1000)):
        shares = rng.integers(-(2**34), 2**34, (rows, steps)).astype(float)
        largest = np.linalg.norm(shares, 2) ** 2
        assert largest < 1.05 * (np.sqrt(rows) + np.sqrt(steps)) ** 2 * 2.0**70 / 12


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("security", "bits"), STANDARD.items())
def test_the_same_arithmetic_gives_the_standards_limits(
    security: int, bits: int, attack: Callable[..., tuple[int, float]]
) -> None:
    _, found = attack(DEGREE, bits, 3.2)
    assert as_the_standard_counts(found) == pytest.approx(security, abs=6)


@pytest.mark.parametrize("deviation", [3.0, 20.0])
def test_the_distance_that_a_flood_leaves_is_what_it_is_taken_for(deviation: float) -> None:
    """Added up over all values of a small flood, to who knows x and to who knows how it is distributed alone."""
    bits, x = 7, np.arange(-127, 128)
    chance = np.exp(-(x**2) / 2 / deviation**2) / np.exp(-(x**2) / 2 / deviation**2).sum()
    flood = np.full(1 << bits + 1, 2.0 ** -(bits + 1))
    moved = [np.pad(flood, (127 + at, 127 - at)) for at in x.tolist()]
    still = moved[127]
    known = sum(p * np.abs(one - still).sum() / 2 for p, one in zip(chance, moved, strict=True))
    unknown = np.abs(sum(p * one for p, one in zip(chance, moved, strict=True)) - still).sum() / 2
    assert np.log2(known) == pytest.approx(distance(deviation, bits), abs=0.02)
    assert known / 2.1 < unknown <= known


def test_what_floods_leave_is_what_the_protocol_says() -> None:
    text = (ROOT / "protos" / "PROTOCOL.md").read_text(encoding="utf-8")
    told = text.split("*What floods leave*")[1].split("\n\n")[0]
    exponents = [round(float(left)) for left in hidden().values()]
    assert exponents == [-40, -13, -5, -40, -54, -9]
    for left in exponents:
        assert f"2⁻{str(-left).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}" in told
