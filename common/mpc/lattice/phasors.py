"""The sine series of sums of two angles, of which each party knows one: shares of it in a polynomial's slots.

Of a block of N / 2 rows the owner sends a_k s + e + encode(exp(2 pi i k t)) for each wave k, t its share of the angle in turns,
the a_k public, in the upper 5 of 12 bytes; and once for a span of blocks a key a_0 s + e, s serving this span alone. The other
holds p_k = encode(-i b_k exp(2 pi i k t')) of its own share t', and sends c = sum_k p_k a_k + v a_0 + e', with v ternary and
used once, both whole: what they lacked would stand in the sum, times v and s. Its share is sum_k p_k c_k + v key, the owner's
is -c s: real parts of slots of their sum are sum_k b_k sin 2 pi k (t + t'). PROTOCOL.md section 21.

Noise. One coefficient of the sum is off, in 2^-96 of a turn of the ring, by independent parts of these deviations:
  dropped    2^56 / sqrt(12) |p|, |p|^2 = sum_k |p_k|^2 about slot^2 sum_k b_k^2: what phasors were sent without
  rounded    scale sqrt(K / 6) at most: p_k to whole numbers, up or down in proportion, times phasors of norm `scale`
  secret     3.24 sqrt(2 N 2/3 + |p|^2), which is below 2^16: v e, s e' and p e
  floods     2^FLOOD_BITS sqrt(2/3): one of each party's
where slot scale stands for a value of 1. A folded coefficient is off by sqrt(2) as much. Floods leave 2^-45 of
`secret` at most. What phasors are sent without is no secret: their owner could send it, and p multiplies what it sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.embedding import BLOCK, blocks_of, encoded
from common.mpc.lattice.ring import DEGREE, Integers, Spectrum, integers, spectrum
from common.mpc.lattice.ring96 import CUT_BITS, CUT_LIMBS, SMALL, UNIT, Long, cut_limbs, joined, limbs, upper
from common.mpc.lattice.sampled import Public, Sampler
from common.party import Party

FORM = 3
SPAN_BLOCKS = 32  # that go through the link together, under one key of either party; even, so that each span begins alike
FLOOD_BITS = 60  # of 96
PHASOR_BYTES = 5  # of a phasor's coefficient that are sent
_PHASOR_CUT = 64 - 8 * PHASOR_BYTES
_HALF_CUT = np.uint64(1 << _PHASOR_CUT - 1)  # so that they are cut to the nearest
_MOST_WAVES = 64
_KEPT = 24  # blocks whose public polynomials stay transformed
_HALVED = 3  # times, an angle before its series is summed: to pi / 8 at most
_SERIES = [(-1.0) ** (i // 2) / factorial(i) for i in range(16)]  # what is left out is below 2^-54


@dataclass(frozen=True)
class Span:
    """Blocks first to last of a step over `rows` rows."""

    first: int
    last: int
    rows: int

    def blocks(self, owner: Party) -> slice:
        """Whose phasors a party sends: every other one."""
        return slice(self.first + owner.index, self.last, 2)

    def count(self, owner: Party) -> int:
        return len(range(self.last)[self.blocks(owner)])

    def filled(self, owner: Party) -> int:
        """Rows in these blocks, if they stood one behind the other: all are full but perhaps the step's last one."""
        places = range(self.last)[self.blocks(owner)]
        return sum(min(BLOCK, self.rows - BLOCK * place) for place in places)


def spans_of(rows: int) -> list[Span]:
    """The blocks of so many rows in pieces of SPAN_BLOCKS."""
    blocks = blocks_of(rows)
    return [Span(first, min(blocks, first + SPAN_BLOCKS), rows) for first in range(0, blocks, SPAN_BLOCKS)]


@dataclass(frozen=True)
class Waves:
    """sum_i b_i sin(2 pi k_i t), k_i being i + 1, or 2 i + 1 where only odd ones are. one: what stands for 1, of 2^96.

    given: the scale of phasors that there are already.
    """

    coefficients: tuple[float, ...]
    odd: bool
    one: float
    given: float | None = None

    @property
    def limit(self) -> float:
        """The most that may stand for 1 in the p_k, so that their norms, and that of v, are at most SMALL."""
        rounded = DEGREE**0.5 * (1 + len(self.coefficients))
        return float((SMALL - rounded) / sum(map(abs, self.coefficients)))

    @property
    def slot(self) -> float:
        """What stands for 1 there, or what is left of `one` over a given scale.

        The largest power of two within the limit by which what is rounded is no less than what is dropped.
        """
        if self.given is not None:
            return self.one / self.given
        squares = sum(b * b for b in self.coefficients)
        even = (self.one / 2.0 ** (UNIT + _PHASOR_CUT) * (2 * len(self.coefficients) / squares) ** 0.5) ** 0.5
        return float(2.0 ** np.floor(np.log2(min(self.limit, even))))

    @property
    def scale(self) -> float:
        """And in phasors."""
        return self.one / self.slot

    def phasors(self, turns: Words, rows: int) -> list[Spectrum]:
        """exp(2 pi i k t) of each k, (N / 2,) each; zero but in the first `rows`. turns: (N / 2,) in 2^-64."""
        point = unit(turns)
        step, found = point * point if self.odd else point, [point * (np.arange(BLOCK) < rows)]
        for _ in self.coefficients[1:]:
            found.append(found[-1] * step)
        return found


def unit(turns: Words) -> Spectrum:
    """exp(2 pi i t) of angles t in 2^-64 of a turn, within 2^-48.

    By sums and products alone: a library's sine looks up tables by the angle, which is secret, and branches on it.
    """
    x = turns.view(np.int64) * (2 * np.pi * 2.0 ** -(64 + _HALVED))
    square, parts = x * x, []
    for first in (0, 1):  # cosine, and sine over x
        part = np.full(x.shape, _SERIES[first + 14])
        for i in range(first + 12, -1, -2):
            part *= square
            part += _SERIES[i]
        parts.append(part)
    found = np.empty(x.shape, np.complex128)
    found.real, found.imag = parts[0], parts[1] * x
    for _ in range(_HALVED):
        found *= found
    return found


class LinkPublic:
    """The public polynomials of one party's phasors, transformed: the same for each span."""

    def __init__(self, public: Public, waves: int) -> None:
        self._public, self._waves, self._blocks = public, waves, dict[int, Spectrum]()
        self.key = self._spectra(0, 1)[0]

    def block(self, number: int) -> Spectrum:
        """(waves, LIMBS, N / 2) of a span's block."""
        if number in self._blocks:
            return self._blocks[number]
        found = self._spectra(_MOST_WAVES * (number + 1), self._waves)
        if number < _KEPT:
            self._blocks[number] = found
        return found

    def _spectra(self, first: int, number: int) -> Spectrum:
        return spectrum(limbs(self._public.long(FORM, first, number)))


class OwnPhasors:
    """A span's phasors of this party's own angles, and the secret they are hidden by."""

    def __init__(self, sampler: Sampler, public: LinkPublic) -> None:
        self._sampler, self._public = sampler, public
        self._secret = spectrum(sampler.ternary(DEGREE))

    def key(self) -> Long:
        """The sample that hides nothing, (WORDS, N)."""
        return joined(self._sample(self._public.key))

    def hidden(self, waves: Waves, turns: Words, rows: int) -> Words:
        """Phasors of this party's angles, (blocks, waves, N) words of 40 bits. turns: (blocks, N / 2); rows: that are any."""
        found = np.empty((len(turns), len(waves.coefficients), DEGREE), np.uint64)
        for number, part in enumerate(turns):
            publics, phasors = self._public.block(number), waves.phasors(part, rows - BLOCK * number)
            for k, phasor in enumerate(phasors):
                whole = upper(self._sample(publics[k]))
                whole += encoded(phasor, waves.scale * 2.0**-UNIT).view(np.uint64)
                found[number, k] = (whole + _HALF_CUT) >> np.uint64(_PHASOR_CUT)
        return found

    def share(self, reply: Long) -> Words:
        """This party's share, (blocks, N) in 2^-64 of the ring's turn, of the c it heard, (blocks, WORDS, N)."""
        found = self._sampler.flood(len(reply), DEGREE, bits=FLOOD_BITS - UNIT)
        for number, c in enumerate(reply):
            found[number] -= upper(integers(spectrum(limbs(c)) * self._secret))
        return found

    def _sample(self, public: Spectrum) -> Integers:
        made = integers(public * self._secret)
        made[0] += self._sampler.errors(DEGREE)
        return made


class HeldPhasors:
    """What is answered to the other's phasors of a span."""

    def __init__(self, sampler: Sampler, public: LinkPublic) -> None:
        self._sampler, self._public = sampler, public

    def reply(self, waves: Waves, key: Long, hidden: Words, turns: Words, rows: int) -> tuple[Long, Words]:
        """c, (blocks, WORDS, N), and this party's share, (blocks, N), of the other's phasors and its own angles."""
        key_spectrum = spectrum(limbs(key))
        c, found = np.empty((len(turns), *key.shape), np.uint32), np.empty((len(turns), DEGREE), np.uint64)
        aloft = np.uint64(CUT_BITS - 8 * PHASOR_BYTES)
        weights = [-1j * b for b in waves.coefficients]
        for number, part in enumerate(turns):
            publics, heard = self._public.block(number), spectrum(cut_limbs(hidden[number] << aloft))
            once = spectrum(self._sampler.ternary(DEGREE))
            public, told = self._public.key * once, key_spectrum * once
            phasors = waves.phasors(part, rows - BLOCK * number)
            for k, phasor in enumerate(phasors):
                factor = spectrum(encoded(phasor * weights[k], waves.slot, self._sampler.fractions(DEGREE)))
                public += publics[k] * factor
                told[-CUT_LIMBS:] += heard[k] * factor
            sums = integers(public)
            sums[0] += self._sampler.errors(DEGREE)
            c[number] = joined(sums)
            found[number] = upper(integers(told))
        found += self._sampler.flood(*found.shape, bits=FLOOD_BITS - UNIT)
        return c, found
