"""What the samples' parameters rest on: the estimates that section 20 states, and that they agree with the standard's table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.sampled import HIDDEN_BITS
from tests.bench.lattice import (
    MODULUS_BITS,
    STANDARD,
    WIDE_BITS,
    as_the_standard_counts,
    distance,
    dual,
    hidden,
    primal,
)
from tests.source import ROOT

ATTACKS = [primal, dual]


@pytest.mark.parametrize("attack", ATTACKS)
def test_both_attacks_take_what_the_protocol_says(attack: Callable[..., tuple[int, float]]) -> None:
    """Of bits that are multiplied, modulo 2^64."""
    _, found = attack()
    assert 199 < found < 203 and 230 < as_the_standard_counts(found) < 236
    assert MODULUS_BITS < STANDARD[192] < STANDARD[128]


@pytest.mark.parametrize("attack", ATTACKS)
def test_all_other_samples_are_as_hard_as_section_20_says(attack: Callable[..., tuple[int, float]]) -> None:
    """Modulo 2^96, whole or cut: cut bits are errors that are larger still."""
    _, found = attack(bits=WIDE_BITS)
    assert 114 < found < 117 and 145 < as_the_standard_counts(found) < 150
    assert MODULUS_BITS < WIDE_BITS == 96 < STANDARD[128]


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
    told = text.split("*What floods leave*")[1].split("**Parameters.**")[0]
    for name, both in hidden().items():
        assert max(both) <= -HIDDEN_BITS
        cells = [f"2⁻{str(-round(left)).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}" for left in both]
        assert f"| {name} | {cells[0]} | {cells[1]} |" in told
