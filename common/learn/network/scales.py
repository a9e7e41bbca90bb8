"""The scales of a network's values, and what they hold. PROTOCOL.md section 15."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from common.mpc.fixedpoint import X_SCALE, LinkScales

WEIGHT = 18  # rounded up or down at random each step; two bits fewer left scores up to 2^-5 off a training in float64
MOMENTUM = 5
AHEAD = WEIGHT + MOMENTUM  # of the look-ahead weights
SUM = X_SCALE + AHEAD  # of a hidden unit's sum
FORWARD = 14  # of the factors of c in a unit's value
PULLED = 20  # of gradients once they are cut
LIFTED = 56  # where a gradient stands before it is cut: its magnitude stays below 2^6
STEP = 10  # of the step size
KEPT = 30  # of what decay leaves of a weight
FINAL = PULLED + AHEAD + STEP  # before the truncation that ends a step: a weight's magnitude stays below 2^9
_FINEST = 11  # of a unit's tables
MOST_ROWS = 1 << 20  # of a step: a residual then keeps five bits at least


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
            residual = min(15, 25 - mean)
            return cls(mean, residual, 0, SUM + AHEAD, residual, residual + SUM)
        unit = max(6, min(9, (30 - mean) // 2))  # a unit's rounding is another in each row, and a mean makes it good
        residual = 48 - mean - 2 * unit
        return cls(mean, residual, unit, AHEAD + unit + FORWARD, residual + 2 * unit, residual + 2 * unit)

    @classmethod
    def of_scores(cls, activation: str) -> Scales:
        """Of rows that are scored: there is no residual to share bits with."""
        found = cls.of(1, activation)
        return found if activation == "relu" else replace(found, unit=_FINEST, output=AHEAD + _FINEST + FORWARD)

    @classmethod
    def of_loss(cls, rows: int, activation: str) -> Scales:
        """Of rows whose residuals are squared and summed: the sum, at twice a residual's scale, stays below 2^62."""
        mean = math.ceil(math.log2(rows))
        return replace(cls.of_scores(activation), mean=mean, residual=min(24, (60 - mean) // 2))

    @property
    def loss_bits(self) -> int:
        """Low bits of a word of a difference of such sums: a mean square of 1 is below half of what they span."""
        return self.mean + 2 * self.residual + 2

    @property
    def table(self) -> int:
        """Of the link's tables, whose rounding weighs an eighth of that of the more numerous factors."""
        return max(3, (self.residual - 3) // 2)

    def link(self, rows: int) -> LinkScales:
        """Of the residual of a step over so many rows of data, 2^mean / n folded in."""
        return LinkScales(self.table, self.residual - self.table, 2.0**self.mean / rows)
