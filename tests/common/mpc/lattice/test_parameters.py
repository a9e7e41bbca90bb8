"""What the samples' parameters rest on: the estimates that section 20 states, and that they agree with the standard's table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.mpc.lattice.ring import DEGREE
from tests.bench.lattice import MODULUS_BITS, STANDARD, as_the_standard_counts, dual, primal

ATTACKS = [primal, dual]


@pytest.mark.parametrize("attack", ATTACKS)
def test_both_attacks_take_what_the_protocol_says(attack: Callable[..., tuple[int, float]]) -> None:
    _, found = attack()
    assert 199 < found < 203 and 230 < as_the_standard_counts(found) < 236
    assert MODULUS_BITS < STANDARD[192] < STANDARD[128]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("security", "bits"), STANDARD.items())
def test_the_same_arithmetic_gives_the_standards_limits(
    security: int, bits: int, attack: Callable[..., tuple[int, float]]
) -> None:
    _, found = attack(DEGREE, bits, 3.2)
    assert as_the_standard_counts(found) == pytest.approx(security, abs=6)
