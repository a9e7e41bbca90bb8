"""Reals as integers modulo 2^64: a value v at scale f is round(v * 2^f). The scales of a job, chosen once from its sizes.

PROTOCOL.md section 2. Sums and products of ring words wrap, which is what numpy's uint64 does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import RangeError

Words = npt.NDArray[np.uint64]
Reals = npt.NDArray[np.float64]

X_SCALE = 10  # prepared columns
X_LIMIT = 64.0  # |x| after whitening; a guard, far outside where values lie
WEIGHT_SCALE = 20
MOMENTUM_SCALE = 8
FACTOR_SCALE = 24  # of the sides' correlation, and of what multiplies a look-ahead in secret
JOINT_SCALE = 18  # of the matrix that multiplies a gradient in secret
GRADIENT_SCALE = 16  # of a gradient then
MOVED_SCALE = JOINT_SCALE + GRADIENT_SCALE  # of weights that have moved by it
U_SCALE = X_SCALE + WEIGHT_SCALE + MOMENTUM_SCALE
UPDATE_SHIFT = 36  # taken back by the truncation that ends a step
UPDATE_SCALE = WEIGHT_SCALE + UPDATE_SHIFT
UNDEALT_SCALE = UPDATE_SCALE + 3  # of an update where both parties mask their matrices themselves: |update| < 8
RIDGE_SCALE = UPDATE_SCALE - WEIGHT_SCALE - MOMENTUM_SCALE
RESIDUAL_SCALE = UPDATE_SCALE - X_SCALE
FINE_BITS = 16  # of step / n in a residual, below which factors are dithered
SENT_BITS = 7  # of step / n in what is sent of a residual, at least: rounding adds next to nothing, being without bias
SHORTEST_ROWS = 1 << 17  # up to which a sum of products of columns leaves room for words of 5 bytes
WEIGHT_LIMIT = 2.0 ** (62 - UPDATE_SCALE)  # |weight| the truncation of a step can hold
JOINT_LIMIT = 2.0**10  # the same of what a weight that is opened can be, where the joint matrix multiplies gradients


def encode(values: npt.ArrayLike, scale: int) -> Words:
    """Reals to ring words at `scale`, rounded to nearest; |v| * 2^scale must be below 2^63."""
    words: Words = np.rint(np.asarray(values, dtype=np.float64) * 2.0**scale).astype(np.int64).view(np.uint64)
    return words


def decode(words: Words, scale: int) -> Reals:
    """Ring words, read as signed, back to reals."""
    reals: Reals = np.ldexp(words.view(np.int64).astype(np.float64), -scale)
    return reals


def top32(words: Words, bits: int) -> npt.NDArray[np.uint32]:
    """The upper 32 of the low `bits` bits of each word: a value modulo 2^bits with its low bits dropped."""
    return ((words << np.uint64(64 - bits)) >> np.uint64(32)).astype(np.uint32)


def angle(words: npt.NDArray[np.uint32]) -> Reals:
    """A 32-bit word as the share of a full turn it stands for, in radians."""
    turns: Reals = words.astype(np.float64) * (2.0 * math.pi / 2.0**32)
    return turns


@dataclass(frozen=True)
class LinkScales:
    """How the residual's scale is split between what the dealer deals (`table`) and the public factors (`factor`).

    step_over_n: the step size divided by the rows it averages over, folded into the public factors.
    spare: low bits of a residual's words that are zero, so that as many upper bits of tables need not be sent. cut: the same
    of what hides a residual, and so of what is sent of it and of masked matrices, which meet it.
    """

    table: int
    factor: int
    step_over_n: float
    spare: int = 0
    cut: int = 0

    @property
    def summed(self) -> int:
        """The scale of a table times a factor, and of their sum."""
        return self.table + self.factor

    @property
    def residual(self) -> int:
        """The residual's scale: RESIDUAL_SCALE for the linear model."""
        return self.summed + self.spare

    @property
    def width(self) -> int:
        """Bytes of a word of tables."""
        return (64 - self.spare) // 8

    @property
    def sent_width(self) -> int:
        """Bytes of a word of masked residuals."""
        return (64 - self.cut) // 8

    @property
    def coarse(self) -> bool:
        """Whether factors have so few bits that the nearest of each is off in all rows alike: see `link.Fourier`."""
        return self.spare > 0 and self.step_over_n * 2.0**self.summed < 2.0**FINE_BITS

    def over(self, step: float, rows: int) -> LinkScales:
        """The same split for a step over `rows` rows. Where words are short, its size over these is rounded to an even number
        of units of `summed`, so that half of it and all of it, which stand for 1/2 and for a label of 1, are whole."""
        exact = step / rows
        even = math.ldexp(2 * round(math.ldexp(exact, self.summed - 1)), -self.summed)
        return replace(self, step_over_n=even if self.spare else exact)

    @classmethod
    def choose(cls, step: float, rows: int, least: int | None = None) -> LinkScales:
        """The shortest words that leave a residual `least` bits of step / rows, long ones by default; SENT_BITS as it is sent.

        The split balances the rounding of tables and factors. Raises RangeError when a residual would keep fewer than 8 bits.
        Sources of the bounds: PROTOCOL.md section 2. RESIDUAL_SCALE = table + factor + spare always.
        """
        if rows < 1 or not step > 0:
            raise RangeError(
                f"a step of {step} over {rows} rows cannot be encoded", remedy="Use a positive step and some rows."
            )
        bits = RESIDUAL_SCALE - math.log2(rows / step)
        if bits < 16:
            half = math.floor(bits / 2)
            raise RangeError(
                f"{rows} rows leave a residual {half} fractional bits",
                expected="at least 8",
                got=half,
                remedy="Train on fewer rows.",
            )
        spare = 0 if least is None else next((spare for spare in (16, 8) if bits - spare >= least), 0)
        table = min(math.floor((bits - spare) / 2) - (spare > 0), 20)
        shortest = (24, 16, 8) if rows <= SHORTEST_ROWS else (16, 8)
        cut = max(spare, next((cut for cut in shortest if bits - cut >= SENT_BITS), 0))
        return cls(table, RESIDUAL_SCALE - spare - table, step / rows, spare, cut).over(step, rows)


def check_range(values: Reals, limit: float) -> tuple[Reals, int]:
    """`values` held to |v| <= limit, and how many the guard changed."""
    beyond = int(np.count_nonzero(np.abs(values) > limit))
    return (np.clip(values, -limit, limit) if beyond else values), beyond


def as_words(values: npt.NDArray[Any]) -> Words:
    """Signed integers as ring words."""
    words: Words = values.astype(np.int64, copy=False).view(np.uint64)
    return words
