"""Phasors of the sum of two random angles, each known to one party, shared before there are rows. PROTOCOL.md section 21.

Of a block of N / 2 places the owner sends a_k s + e + encode(D exp(2 pi i k t)) for each wave k, t its random angle in turns,
in the upper 8 of 12 bytes, and once for a span of blocks a key a_0 s + e. The other holds p_k = encode(L exp(2 pi i k t')) of
its own angle and sends c_k = p_k a_k + v_k a_0 + e', v_k ternary and used once. Its share is p_k c + v_k key, the owner's is
-c_k s: they sum to the polynomial whose slots are D L exp(2 pi i k (t + t')). Both flood theirs and cut them to the upper 6 of
12 bytes: plain shares, for which nobody needs a key any more.

Later an angle is t + t' + m, m a sum that is told, and each party multiplies its share by what is public of the link.

Noise. One coefficient of a sum is off, in 2^-96 of a turn of the ring, by independent parts of these deviations:
  cut        2^48 / sqrt(12), at both parties
  floods     2^b / sqrt(3) of the owner, b = `owner_flood`, which hides p e, and 2^FLOOD_BITS / sqrt(3) of the other
  sent       2^32 / sqrt(12) L: what phasors are sent without
  rounded    D / sqrt(12): p_k to whole numbers
  secret     3.24 sqrt(2 N 2/3 + L^2), below 2^15: v e, s e' and p e; without p e below 2^8
L is the power of two, 2^13 at most, by which what is rounded is about what the owner's flood is.
"""

from __future__ import annotations

import math

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.embedding import BLOCK, encoded
from common.mpc.lattice.phasors import LinkPublic, Waves
from common.mpc.lattice.ring import DEGREE, HALF, Integers, Spectrum, integers, spectrum
from common.mpc.lattice.ring96 import CUT_LIMBS, UNIT, WORDS, Long, cut_limbs, cut_upper, joined, limbs, upper
from common.mpc.lattice.sampled import ERROR_DEVIATION, SECRETS, Sampler, flood_bits

_MOST_SLOT_BITS = 13
_EVEN = 40
STORED_BYTES = 6
_CUT = np.uint64(64 - 8 * STORED_BYTES)


def slot_of(waves: Waves) -> float:
    """L. The norm of p_k is this and 32 of rounding, with that of v_k less than SMALL."""
    return 2.0 ** min(_MOST_SLOT_BITS, round((math.log2(waves.scale) - _EVEN) / 2))


def owner_flood(waves: Waves) -> int:
    """Bits of the owner's flood, of 96."""
    return flood_bits(math.hypot(SECRETS, ERROR_DEVIATION * (slot_of(waves) + HALF**0.5)))


class OwnAngles:
    """The secret that phasors of this party's random angles are hidden by, in one span."""

    def __init__(self, sampler: Sampler, public: LinkPublic) -> None:
        self._sampler, self._public = sampler, public
        self._secret = spectrum(sampler.ternary(DEGREE))

    def key(self) -> Long:
        """The sample that hides nothing, (WORDS, N)."""
        made: Long = joined(self._sample(self._public.key[None]))[0]
        return made

    def hidden(self, waves: Waves, angles: Words) -> Words:
        """Phasors of angles, (blocks, waves, N) words. angles: (blocks, N / 2) in 2^-64 of a turn."""
        found = np.empty((len(angles), len(waves.coefficients), DEGREE), np.uint64)
        for number, part in enumerate(angles):
            phasors = np.stack(waves.phasors(part, BLOCK))
            found[number] = upper(self._sample(self._public.block(number)))
            found[number] += encoded(phasors, waves.scale / slot_of(waves) * 2.0**-UNIT).view(np.uint64)
        return found

    def share(self, waves: Waves, replies: Long) -> Words:
        """This party's shares, (blocks, waves, N) words of 48 bits, of the c it heard, (blocks, waves, WORDS, N)."""
        found = np.stack([-upper(integers(spectrum(limbs(c)) * self._secret)) for c in replies])
        return _stored(found + self._sampler.flood(*found.shape, bits=owner_flood(waves) - UNIT))

    def _sample(self, public: Spectrum) -> Integers:
        made: Integers = integers(public * self._secret)
        made[:, 0] += self._sampler.errors(len(made), DEGREE)
        return made


class HeldAngles:
    """What is answered to the other's phasors of a span."""

    def __init__(self, sampler: Sampler, public: LinkPublic) -> None:
        self._sampler, self._public = sampler, public

    def reply(self, waves: Waves, key: Long, hidden: Words, angles: Words) -> tuple[Long, Words]:
        """c, (blocks, waves, WORDS, N), and this party's shares, as `OwnAngles.share`. angles: its own, of these blocks."""
        key_spectrum = spectrum(limbs(key))
        count = len(waves.coefficients)
        c, found = np.empty((*hidden.shape[:2], WORDS, DEGREE), np.uint32), np.empty_like(hidden)
        for number, part in enumerate(angles):
            factors = spectrum(encoded(np.stack(waves.phasors(part, BLOCK)), slot_of(waves)))[:, None]
            once = spectrum(self._sampler.ternary(count, DEGREE))[:, None]
            sums = integers(self._public.block(number) * factors + self._public.key * once)
            sums[:, 0] += self._sampler.errors(count, DEGREE)
            c[number] = joined(sums)
            heard = spectrum(limbs(_long(hidden[number])))
            found[number] = upper(integers(heard * factors + key_spectrum * once))
        return c, _stored(found + self._sampler.flood(*found.shape))


def _long(words: Words) -> Long:
    """Polynomials modulo 2^96 of which these, (..., N), are the upper 64 bits."""
    found = np.zeros((*words.shape[:-1], WORDS, DEGREE), np.uint32)
    found[..., 1, :], found[..., 2, :] = words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)
    return found


def _stored(flooded: Words) -> Words:
    found: Words = (flooded + (np.uint64(1) << _CUT - np.uint64(1))) >> _CUT
    return found


def link_share(waves: Waves, stored: Words, turns: Words, rows: int) -> Words:
    """A share of the link's polynomials, (blocks, N) in 2^-64 of the ring's turn, as that of `phasors`.

    stored: this party's shares, (blocks, waves, N) words of 48 bits, at `waves.scale`. turns: what is told of the angles,
    (blocks, N / 2) in 2^-64; rows: that are any.
    """
    found = np.empty((len(stored), DEGREE), np.uint64)
    weights = np.array(waves.coefficients)[:, None] * -1j
    for number, part in enumerate(turns):
        phasors = np.stack(waves.phasors(part, rows - BLOCK * number)) * weights
        told = np.zeros((CUT_LIMBS, BLOCK), np.complex128)
        factors = spectrum(encoded(phasors, waves.slot))
        for k in range(len(factors)):
            told += spectrum(cut_limbs(stored[number, k])) * factors[k]
        found[number] = cut_upper(integers(told))
    return found
