"""How many bits of the bank's labels an opened linear model can tell the grid: a bound, from public numbers. Section 7."""

from __future__ import annotations

import math

from common.mpc.fixedpoint import JOINT_LIMIT, WEIGHT_LIMIT
from common.plan.linear import Model

_WORD = 64  # bits of an opened gradient's component


def label_bits(model: Model, columns: int, steps: int) -> float:
    """Bits that the grid's own weights of so many columns can tell it, or gradients at so many steps; 0 if they stay closed.

    A weight is one of the multiples of 2^-weight_bits between its bounds; an owned gradient is opened to the last bit.
    """
    if model.closed:
        return 0.0
    if model.weights == "owned":
        return float(_WORD * columns * steps)
    return columns * (model.weight_bits + math.log2(2 * (JOINT_LIMIT if model.joint else WEIGHT_LIMIT)))
