"""What ring-LWE samples are made of: public polynomials that neither party chooses, small secret ones, and floods of noise."""

from __future__ import annotations

import hashlib
import math
from itertools import count

import numpy as np

from common.mpc.fixedpoint import Reals, Words
from common.mpc.lattice.ring import DEGREE, Integers
from common.mpc.lattice.ring96 import UNIT, WORDS, Long
from common.mpc.prg import SEED_BYTES, Prg, Purpose
from common.party import Party

NONCE_BYTES = 32
ERROR_BITS = 21
ERROR_DEVIATION = (ERROR_BITS / 2) ** 0.5
HIDDEN_BITS = 38
"""A flood leaves at most 2^-38 of one coefficient of what it hides, as statistical distance."""
FLOOD_BITS = 46  # of 96, the narrowest
SECRETS = ERROR_DEVIATION * math.sqrt(2 * DEGREE * 2 / 3)
"""The deviation of v e - s e', v and s ternary: a flood of FLOOD_BITS leaves 2^-39 of it."""

_OWNER, _FORM = 62, 56  # bits of a public polynomial's number that say whose matrix it is for, and in which form


def public_seed(nonces: bytes) -> bytes:
    """What all public polynomials are expanded from, of both parties' nonces, the grid's first."""
    return hashlib.blake2b(nonces, digest_size=SEED_BYTES, person=b"wattscore.rlwe.1").digest()


def distance(deviation: float, bits: int) -> float:
    """log2 of the statistical distance that a flood uniform in [-2^bits, 2^bits) leaves of one normal value under it.

    Of a value x it is |x| / 2^(bits + 1), so also to who knows all that x is made of: its mean.
    """
    return math.log2(deviation * math.sqrt(2 / math.pi)) - (bits + 1)


def flood_bits(deviation: float) -> int:
    """The least width of a flood that leaves 2^-HIDDEN_BITS of a value of this deviation; FLOOD_BITS at least."""
    return max(FLOOD_BITS, math.ceil(distance(deviation, 0) + HIDDEN_BITS))


class Public:
    """The public polynomials for one party's matrix: expanded from a hash of what both drew."""

    def __init__(self, nonces: dict[Party, bytes], owner: Party) -> None:
        self._prg = Prg(public_seed(b"".join(nonces[party] for party in Party)))
        self._first = owner.index << _OWNER

    def polynomials(self, form: int, first: int, number: int) -> Words:
        """(number, N) uniform words, the same at both parties; form: of the masked matrix."""
        low = self._first | form << _FORM | first
        return np.stack([self._prg.words(Purpose.LATTICE_PUBLIC, low + i, DEGREE) for i in range(number)])

    def long(self, form: int, first: int, number: int) -> Long:
        """(number, WORDS, N) uniform modulo 2^96, likewise."""
        low = self._first | form << _FORM | first
        drawn = [self._prg.half_words(Purpose.LATTICE_PUBLIC, low + i, WORDS * DEGREE) for i in range(number)]
        return np.stack(drawn).reshape(number, WORDS, DEGREE)


class Sampler:
    """A party's own small polynomials. Each draw has a number of its own, so none is drawn twice from one seed.

    No draw branches on, or looks up by, what it draws.
    """

    def __init__(self, seed: bytes) -> None:
        """seed: this party's alone, which nobody dealt."""
        self._prg, self._numbers = Prg(seed), count()

    def ternary(self, *shape: int) -> Integers:
        """-1, 0 and 1, each as often but for 2^-32."""
        size = int(np.prod(shape))
        drawn = self._prg.half_words(Purpose.LATTICE_SECRET, next(self._numbers), size).astype(np.uint64)
        found: Integers = ((drawn * np.uint64(3)) >> np.uint64(32)).astype(np.int64).reshape(shape) - 1
        return found

    def errors(self, *shape: int) -> Integers:
        """Centred binomial, of 2 * 21 bits: standard deviation 3.24, at most 21."""
        size = int(np.prod(shape))
        drawn = self._prg.words(Purpose.LATTICE_ERROR, next(self._numbers), size).reshape(shape)
        low = np.uint64((1 << ERROR_BITS) - 1)
        up, down = np.bitwise_count(drawn & low), np.bitwise_count((drawn >> np.uint64(ERROR_BITS)) & low)
        found: Integers = up.astype(np.int64) - down.astype(np.int64)
        return found

    def bits(self, *shape: int) -> Integers:
        """0 and 1, each as often."""
        size = int(np.prod(shape))
        drawn = self._prg.words(Purpose.LATTICE_BITS, next(self._numbers), size).reshape(shape)
        return (drawn & np.uint64(1)).astype(np.int64)

    def fractions(self, *shape: int) -> Reals:
        """Uniform from 0 to 1, in steps of 2^-32."""
        size = int(np.prod(shape))
        drawn = self._prg.half_words(Purpose.LATTICE_DITHER, next(self._numbers), size).reshape(shape)
        found: Reals = drawn.astype(np.float64) * 2.0**-32
        return found

    def flood(self, *shape: int, bits: int = FLOOD_BITS - UNIT) -> Words:
        """Uniform from -2^bits to 2^bits - 1, as words: what hides the noise in a share."""
        drawn = self._prg.words(Purpose.LATTICE_FLOOD, next(self._numbers), int(np.prod(shape))).reshape(shape)
        return (drawn >> np.uint64(63 - bits)) - np.uint64(1 << bits)

    def __repr__(self) -> str:
        return "Sampler(seed hidden)"
