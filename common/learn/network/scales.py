"""The scales of a network's values, and what they hold. PROTOCOL.md section 15."""

from __future__ import annotations

import math
from dataclasses import dataclass

from common.mpc.fixedpoint import X_SCALE, LinkScales

WEIGHT = 16  # stochastic rounding is unbiased, so that this trains like float64
MOMENTUM = 5
AHEAD = WEIGHT + MOMENTUM  # of the look-ahead weights
SUM = X_SCALE + AHEAD  # of a hidden unit's sum
FORWARD = 14  # of the factors of c in a unit's value
PULLED = 20  # of gradients once they are cut
LIFTED = 56  # where a gradient stands before it is cut: its magnitude stays below 2^6
STEP = 10  # of the step size
KEPT = 30  # of what decay leaves of a weight
FINAL = PULLED + AHEAD + STEP  # before the truncation that ends a step: a weight's magnitude stays below 2^11
MOST_ROWS = 1 << 20  # of a step: a residual then keeps eight bits


@dataclass(frozen=True)
class Scales:
    """How a step over so many rows splits the bits of a gradient, 58 at most.

    mean: bits by which 1/n stands for 2^mean / n; residual; unit: of the tables and factors of a sine. output: of u; pulled and
    value: of the residual times a unit's slope, and times its value.
    """

    mean: int
    residual: int
    unit: int
    output: int
    pulled: int
    value: int

    @classmethod
    def of(cls, rows: int, activation: str = "sine") -> Scales:
        mean = max(10, math.ceil(math.log2(rows)))
        if activation == "relu":  # a value's mean times the residual stays below 16, as values do
            residual = min(16, 27 - mean)
            return cls(mean, residual, 0, SUM + AHEAD, residual, residual + SUM)
        residual = min(16, 28 - mean)
        unit = min(11, (48 - mean - residual) // 2)
        return cls(mean, residual, unit, AHEAD + unit + FORWARD, residual + 2 * unit, residual + 2 * unit)

    def link(self, rows: int) -> LinkScales:
        """Of the residual of a step over so many rows of data, 2^mean / n folded in."""
        table = self.residual // 2
        return LinkScales(table, self.residual - table, 2.0**self.mean / rows)
