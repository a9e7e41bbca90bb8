"""From shares of u to shares of the residual sigma(u) - y, with one opening of 32 bits a row. PROTOCOL.md section 5.

Both links have one shape. Shares of u reduce locally modulo a period P, and c = u - a is opened, a being a uniform angle that
only the dealer knows. The dealer also deals shares of a few functions of a (the tables); the link's value is a sum of tables
times public factors of c. A Link is therefore: the period, the tables of a, the factors of c.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.mpc.circle import Turns, harmonics
from common.mpc.fitted import half_tanh, least_squares, waves
from common.mpc.fixedpoint import U_SCALE, LinkScales, Reals, Words, encode

SHORT_SUM = 2.0  # of |b_k|, up to which words may be short
CACHE_ROWS = 1 << 14  # rows whose temporaries stay in the processor's cache


class Link(ABC):
    """sigma(u) as sum over j of table_j(a) * factor_j(c), plus a public part, for u = c + a modulo the period."""

    period: int  # a power of two, in units of u
    tables: int  # how many functions of a are dealt: words a row
    reach: float  # |u| up to which the link is what it claims
    least_bits: int | None  # of step / n that a residual keeps when its words are short; None: they are long

    @property
    def bits(self) -> int:
        """Low bits of a word of the linear model's u that a period spans."""
        return self.spans(U_SCALE)

    def spans(self, scale: int) -> int:
        """Low bits of a word of u at this scale that a period spans."""
        return scale + self.period.bit_length() - 1

    @abstractmethod
    def table_values(self, a: Turns) -> Iterator[Reals]:
        """The dealt functions of a, in order; `tables` arrays of a's shape."""

    @abstractmethod
    def factors(self, c: Turns, scales: LinkScales) -> Iterator[Words]:
        """The public factors of c, in the order of the tables, at `scales.factor`, step_over_n folded in."""

    @abstractmethod
    def public(self, c: Turns, scales: LinkScales) -> Words:
        """The public part of step_over_n * sigma(u), (n,), at `scales.summed`."""

    def step_over_n(self, scales: LinkScales) -> float:
        """The step size over the rows that the encoded factors really stand for."""
        return scales.step_over_n

    @abstractmethod
    def __call__(self, u: Reals) -> Reals:
        """The link in plaintext: what the secure computation approximates sigma(u) by."""


@lru_cache
def fourier_coefficients(period: int, terms: int) -> tuple[float, ...]:
    """b_k of sigma(u) - 1/2 ~ sum_k b_k sin(2 pi k u / P): least squares over |u| <= 3/8 P, at 4,097 points from 0 on."""
    return least_squares(waves(terms, 3, 15)[1], half_tanh(3 * period, 15))


@dataclass(frozen=True)
class Fourier(Link):
    """sigma(u) ~ 1/2 + sum_{k <= K} b_k sin(2 pi k u / P): within 0.003 on |u| <= 12 for P = 32, K = 8.

    dithered: factors are rounded up as often as their fraction says. Where they have few bits, the nearest would leave out the
    waves whose b_k are below half a bit, in every row alike, and many rows would not make it good. So they are in any case
    where the scales are `coarse`.
    """

    period: int = 32
    terms: int = 8
    dithered: bool = False

    @property
    def tables(self) -> int:  # type: ignore[override]
        return 2 * self.terms

    @property
    def least_bits(self) -> int | None:  # type: ignore[override]
        """Factors as large as those of a wide period multiply the rounding of tables."""
        return 12 if sum(map(abs, fourier_coefficients(self.period, self.terms))) <= SHORT_SUM else None

    @property
    def reach(self) -> float:  # type: ignore[override]
        return 0.375 * self.period

    def table_values(self, a: Turns) -> Iterator[Reals]:
        for cos, sin in harmonics(a, self.terms):
            yield cos
            yield sin

    def factors(self, c: Turns, scales: LinkScales) -> Iterator[Words]:
        # times a power of two, which rounds nothing: what `encode` gives, in one pass less
        weights = np.array(fourier_coefficients(self.period, self.terms)) * scales.step_over_n * 2.0**scales.factor
        dither = _dither(c) if self.dithered or scales.coarse else None
        for weight, point in zip(weights, harmonics(c, self.terms), strict=True):
            scaled = point * weight
            if dither is not None:
                np.floor(np.add(scaled, dither, out=scaled), out=scaled)
            else:
                np.rint(scaled, out=scaled)
            cos, sin = scaled.astype(np.int64).view(np.uint64)
            yield sin
            yield cos

    def public(self, c: Turns, scales: LinkScales) -> Words:
        return np.broadcast_to(encode(0.5 * scales.step_over_n, scales.summed), c.shape)

    def __call__(self, u: Reals) -> Reals:
        turns = 2.0 * math.pi / self.period * u
        value = np.full_like(u, 0.5)
        for k, b in enumerate(fourier_coefficients(self.period, self.terms), 1):
            value += b * np.sin(k * turns)
        return value


def _dither(c: Turns) -> Reals:
    """A number in [0, 1) for each c: its low 16 bits, which say next to nothing of where on the circle it stands.

    One serves all factors of a row: what they meet, cosines and sines of multiples of an angle nobody knows, is uncorrelated.
    """
    found: Reals = np.multiply(c.astype(np.uint16), 2.0**-16, dtype=np.float64)
    return found


@dataclass(frozen=True)
class Taylor(Link):
    """sigma(u) ~ 1/2 + u / 4, the second-order objective of the published method (step 4 there); |u| < P / 4.

    u' = u + P/4 lies in the lower half of the period, so c' = u' - a wraps exactly when the top bit of c' or of a is set:
    u' = c' + a - P (c'_top + a_top (1 - c'_top)). The tables are a and a_top.
    """

    period: int = 128
    tables: int = 2
    least_bits: int | None = None  # the step is a factor, and as exact as its bits; two tables are few

    @property
    def reach(self) -> float:  # type: ignore[override]
        return 0.25 * self.period

    def table_values(self, a: Turns) -> Iterator[Reals]:
        yield a.astype(np.float64) * (self.period / 2.0**32)
        yield (a >> np.uint32(31)).astype(np.float64)

    def _shifted(self, c: Turns) -> tuple[Turns, npt.NDArray[np.uint32]]:
        moved = c + np.uint32(1 << 30)
        return moved, moved >> np.uint32(31)

    def _unit(self, scales: LinkScales) -> int:
        # An integer, so that a's multiples cancel exactly against the public part: the step size is rounded, not the link.
        return max(1, round(scales.step_over_n / 4.0 * 2.0**scales.factor))

    def step_over_n(self, scales: LinkScales) -> float:
        return 4.0 * self._unit(scales) / 2.0**scales.factor

    def factors(self, c: Turns, scales: LinkScales) -> Iterator[Words]:
        unit, (_, top) = self._unit(scales), self._shifted(c)
        yield np.broadcast_to(np.uint64(unit), c.shape)  # of a: step / 4n
        # of a_top: -P (1 - c'_top) step / 4n, which is what a wrap takes off u unless c' has wrapped already
        yield (top.astype(np.int64) - 1).view(np.uint64) * np.uint64(unit * self.period)

    def public(self, c: Turns, scales: LinkScales) -> Words:
        moved, top = self._shifted(c)
        u = moved * (self.period / 2.0**32) - top * float(self.period) - self.period / 4.0
        return encode((0.5 + u / 4.0) * self.step_over_n(scales), scales.summed)

    def __call__(self, u: Reals) -> Reals:
        return 0.5 + u / 4.0


class Sliced(Protocol):
    """Words, (n,), read by slices: an array, or what stands for one."""

    def __getitem__(self, part: slice, /) -> Words: ...


def residual(link: Link, scales: LinkScales, c: Turns, shares: Sequence[Sliced], label: Words | None) -> Words:
    """A share of (sigma(u) - y) step / n at `scales.residual`, (n,), from c and shares of the tables, in parts.

    It is the sum of tables times public factors; at the bank, which has the label, also the public part, less the label. Only
    the low 64 - `spare` bits of a table's share count: the sum is moved up by `spare` bits.
    """
    total: Words = np.empty(len(c), np.uint64)
    for low in range(0, len(c), CACHE_ROWS):
        part = slice(low, low + CACHE_ROWS)
        summed = np.zeros(len(c[part]), np.uint64)
        for share, factor in zip(shares, link.factors(c[part], scales), strict=True):
            summed += share[part] * factor
        total[part] = summed
    if label is not None:
        total += link.public(c, scales)
        total -= label * encode(link.step_over_n(scales), scales.summed)
    total <<= np.uint64(scales.spare)
    return total
