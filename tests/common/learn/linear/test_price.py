"""The price of opened weights, by counting what they can be."""

from __future__ import annotations

import math

import pytest

from common.learn.linear.price import label_bits
from common.mpc.fixedpoint import JOINT_LIMIT
from common.plan.linear import Model


@pytest.mark.parametrize("bits", [4, 8, 20])
def test_a_weight_costs_as_many_bits_as_tell_its_values_apart(bits: int) -> None:
    values = 2 * JOINT_LIMIT * 2**bits
    assert label_bits(Model(reveal="owners", weight_bits=bits), 3, 15) == pytest.approx(3 * math.log2(values))
    assert label_bits(Model(weight_bits=bits), 3, 15) == 0.0


def test_an_owned_gradient_costs_every_bit_of_it_at_every_step() -> None:
    assert label_bits(Model(reveal="owners", weights="owned", optimiser="sgd"), 3, 15) == 64 * 3 * 15
