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
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.mpc.circle import Points, Turns, harmonics, nearest
from common.mpc.fitted import half_tanh, least_squares, waves
from common.mpc.fixedpoint import U_SCALE, LinkScales, Reals, Words, encode, top32

PERIOD = Fraction(256, 7)
MOST_TERMS = 32
SHORT_SUM = 2.0  # of |b_k|, up to which words may be short
_GOLDEN = 40_503  # of 2^16
_FLAT = 6.0  # where sigma is within 0.0025 of 1
_FEW = 10  # terms, whose factors' rounding 12 bits allow
POINT_BITS = 40  # of a look-ahead modulo a period, as columns multiply it: of words of 5 bytes no more count
CACHE_ROWS = 1 << 14  # rows whose temporaries stay in the processor's cache


class Link(ABC):
    """sigma(u) as sum over j of table_j(a) * factor_j(c), plus a public part, for u = c + a modulo the period."""

    period: Fraction | int  # in units of u: a power of two over `times`
    tables: int  # how many functions of a are dealt: words a row
    reach: float  # |u| up to which the link is what it claims
    least_bits: int | None  # of step / n that a residual keeps when its words are short; None: they are long

    @property
    def times(self) -> int:
        """What u is multiplied by, on shares, so that a period is a power of two."""
        return Fraction(self.period).denominator

    @property
    def bits(self) -> int:
        """Low bits of a word of `times` the linear model's u that a period spans."""
        return self.spans(U_SCALE)

    def spans(self, scale: int) -> int:
        """Low bits of a word of `times` u at this scale that a period spans."""
        return scale + Fraction(self.period).numerator.bit_length() - 1

    def turns(self, u: Words) -> Points:
        """A share of u at U_SCALE, or what shares of it lack, modulo the period, to the nearest 2^-16 of it."""
        return nearest(top32(u if self.times == 1 else u * np.uint64(self.times), self.bits))

    def point(self, ahead: Words) -> Words:
        """A share of a look-ahead as columns multiply it: `times` it modulo a period, the upper POINT_BITS of these bits.

        Of two shares the sum is so cut, or one unit less: 2^-22 by default.
        """
        cut: Words = (ahead * np.uint64(self.times) << np.uint64(64 - self.bits)) >> np.uint64(64 - POINT_BITS)
        return cut

    def turned(self, u: Words) -> Points:
        """`turns` of a share of columns times `point`."""
        return nearest(top32(u, POINT_BITS))

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
def fourier_coefficients(period: Fraction | int, terms: int, odd: bool = False) -> tuple[float, ...]:
    """b_k of sigma(u) - 1/2 ~ sum_k b_k sin(2 pi k u / P), by least squares at 4,097 points from 0 on.

    Of odd k over |u| <= P/4, beyond which they repeat mirrored; of all k over |u| <= 3/8 P.
    """
    whole = Fraction(period)
    if odd:
        return least_squares(waves(terms, 1, 14, 2)[1], half_tanh(whole.numerator, whole.denominator << 14))
    return least_squares(waves(terms, 3, 15)[1], half_tanh(3 * whole.numerator, whole.denominator << 15))


@lru_cache
def rounded_amplitude(bits: int) -> float:
    """The amplitude of the wave in a sine that is rounded to so many fractional bits, 1 to 12: of few it is above 1.

    A rounded sine is a sum of steps, at (j - 1/2) / 2^bits; of a step at t that is sqrt(1 - t^2) times 4 / pi.
    """
    levels = 1 << bits
    steps = math.fsum(math.sqrt(1.0 - ((j + 0.5) / levels) ** 2) for j in range(levels))
    return 4.0 * steps / (math.pi * levels)


@dataclass(frozen=True)
class Fourier(Link):
    """sigma(u) ~ 1/2 + sum_k b_k sin(2 pi k u / P), over K odd k: within 0.003 on |u| <= 12 for P = 36.6, K = 5.

    Odd waves are mirrored at P/4, where sigma is all but 1: what they lack of it further out is what it lacks of 1 at P/2 - u.
    odd: False for all k up to K. dithered: factors are rounded up as often as their fraction says. Where they have few bits,
    the nearest would leave out the waves whose b_k are below half a bit, in every row alike, and many rows would not make it
    good. So they are in any case where the scales are `coarse`; tables have few bits then too, and factors make good for that.
    """

    period: Fraction | int = PERIOD
    terms: int = 5
    odd: bool = True
    dithered: bool = False

    @classmethod
    def of(cls, period: Fraction | int = PERIOD, terms: int | None = None) -> Fourier:
        """With as many terms as the period needs to be within 0.003, unless told otherwise."""
        return cls(period, min(MOST_TERMS, math.floor(period / 8) + 1) if terms is None else terms)

    @property
    def coefficients(self) -> tuple[float, ...]:
        return fourier_coefficients(self.period, self.terms, self.odd)

    @property
    def tables(self) -> int:  # type: ignore[override]
        return 2 * self.terms

    @cached_property
    def least_bits(self) -> int | None:  # type: ignore[override]
        """Factors as large as those of a wide period multiply the rounding of tables, and many factors have each its own."""
        return (12 if self.terms <= _FEW else 14) if sum(map(abs, self.coefficients)) <= SHORT_SUM else None

    @property
    def reach(self) -> float:  # type: ignore[override]
        return max(0.25 * self.period, 0.5 * self.period - _FLAT) if self.odd else 0.375 * self.period

    def table_values(self, a: Turns) -> Iterator[Reals]:
        for cos, sin in harmonics(a, self.terms, self.odd):
            yield cos
            yield sin

    def factors(self, c: Turns, scales: LinkScales) -> Iterator[Words]:
        # times a power of two, which rounds nothing: what `encode` gives, in one pass less
        weights = np.array(self.coefficients) * scales.step_over_n * 2.0**scales.factor
        if scales.coarse:
            weights /= rounded_amplitude(scales.table)
        dither = _dither(c) if self.dithered else _spread(c) if scales.coarse else None
        for weight, point in zip(weights, harmonics(c, self.terms, self.odd), strict=True):
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
        turns = 2.0 * math.pi / float(self.period) * u
        value = np.full_like(u, 0.5)
        for place, b in enumerate(self.coefficients):
            value += b * np.sin((2 * place + 1 if self.odd else place + 1) * turns)
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
    least_bits: int | None = 12  # of which five are the step's, a factor

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


def _spread(c: Turns) -> Reals:
    """The same of c that has 16 bits: multiples of the golden section, which go nowhere along with a wave of c."""
    found: Reals = np.multiply((c >> np.uint32(16)).astype(np.uint16) * np.uint16(_GOLDEN), 2.0**-16, dtype=np.float64)
    return found


Labels = npt.NDArray[np.uint8]  # 0 or 1 of each row, which training keeps in a byte and not in a word


class Sliced(Protocol):
    """Words, (n,), read by slices: an array, or what stands for one."""

    def __getitem__(self, part: slice, /) -> Words: ...


def residual(link: Link, scales: LinkScales, c: Turns, shares: Sequence[Sliced], label: Labels | None) -> Words:
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
        total -= np.multiply(label, encode(link.step_over_n(scales), scales.summed), dtype=np.uint64)
    total <<= np.uint64(scales.spare)
    return total
