"""A matrix's transpose times vectors: shares of X^T h for the X of one party and the h of the other, for 12 N bytes a vector.

The owner masks block b of N rows of column j as E_bj = a_b s_j + e + X_bj modulo 2^96, sent whole: here each block has a public
a_b, the same for all columns, and each column a secret. E_0j masks nothing. For h the other sends
c = sum_b h_b(1 / X) a_b + v a_0 + e'. The constant coefficient of a product x(1 / X) y being an inner product, its share for
column j is sum_b <h_b, E_bj> + <v(1 / X), E_0j>, and the owner's is -<s_j(1 / X), c>. PROTOCOL.md section 20.

Floods. Who sees a sum with either party knows that party's part of it: the other, h, v and e'; the owner, its secrets and
errors, so that sum_b <h_b, e_b> would tell it as much again of labels as X^T h does. Each flood alone hides all noise. And what
the owner cut, were anything cut, would be multiplied by h likewise, 2^31 times as large as errors: too large to hide.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, integers, inverted, spectrum
from common.mpc.lattice.ring96 import UNIT, WORDS, Long, Sum, Wide, inner, joined, limbs, thirds_joined, upper
from common.mpc.lattice.sampled import ERROR_DEVIATION, SECRETS, Public, Sampler, flood_bits
from common.mpc.product import Rows, backward, in_memory

FORM = 2
_AT_ONCE = 16  # vectors whose sums are in memory together
_ROWS = DEGREE  # whose products with half of a vector's bits are added up in words: 2^12 2^32 2^18
_HALF = 18  # bits of a vector's values of 36
_WORD = np.uint64(UNIT)


def noise(rows: int, bits: int) -> float:
    """The deviation of sum_b <h_b, e_b> + <v, e_0> - <s, e'> of h uniform in so many bits, over so many rows."""
    return math.hypot(ERROR_DEVIATION * math.sqrt(rows / 12) * 2.0**bits, SECRETS)


class LongRows:
    """A matrix (n, m) modulo 2^96 in two of words: the upper 64 bits, and the low 32 of two rows in each word."""

    def __init__(self, rows: int, columns: int, room: Callable[[tuple[int, int]], Rows] = in_memory) -> None:
        self._upper, self._low = room((rows, columns)), room((-(-rows // 2), columns))

    @property
    def columns(self) -> int:
        return self._upper.shape[1]

    def put(self, first: int, sent: Long) -> None:
        """Rows from `first` on, an even one, as they cross the line: (m WORDS, n'). n' is even but for the last rows."""
        count = sent.shape[1]
        long = sent.reshape(-1, WORDS, count)
        self._upper[first : first + count] = (long[:, 1] | long[:, 2].astype(np.uint64) << _WORD).T
        pairs = np.zeros((len(long), count + count % 2), np.uint32)
        pairs[:, :count] = long[:, 0]
        self._low[first // 2 : first // 2 + pairs.shape[1] // 2] = pairs.view(np.uint64).T

    def transposed(self, vectors: Words) -> tuple[Words, Words]:
        """X^T h of vectors (k, n') of signed numbers of 36 bits over the first rows: upper 64 bits, (k, m), and low 32."""
        shape, rows = (len(vectors), self.columns), vectors.shape[1]
        found, rest = np.zeros(shape, np.uint64), np.zeros(shape, np.int64)
        for first in range(0, rows, _ROWS):
            part = slice(first, min(first + _ROWS, rows))
            some = self._upper[part]
            lower = self._low[first // 2 : -(-part.stop // 2)].T.view(np.uint32)[:, : part.stop - first].astype(np.int64)
            for k, words in enumerate(vectors[:, part]):
                above = words.view(np.int64) >> _HALF
                within = words.view(np.int64) - (above << _HALF)
                high = np.einsum("ji,i->j", lower, above)
                rest[k] += np.einsum("ji,i->j", lower, within) + ((high & (1 << UNIT - _HALF) - 1) << _HALF)
                found[k] += backward(some, words) + ((high >> UNIT - _HALF) + (rest[k] >> UNIT)).view(np.uint64)
                rest[k] &= (1 << UNIT) - 1
        return found, rest.view(np.uint64)


class OwnColumns:
    """The secrets of a matrix (n, m) that this party has masked for products with its transpose."""

    def __init__(self, sampler: Sampler, public: Public, columns: int) -> None:
        self._sampler, self._public, self._blocks = sampler, public, 0
        secrets = sampler.ternary(columns, DEGREE)
        self._secrets, self._inverted = spectrum(secrets), _turned(secrets)

    def zeros(self) -> Long:
        """The samples that mask nothing, (m, WORDS, N)."""
        return thirds_joined(self._samples(0))

    def masked(self, rows: Words) -> Long:
        """The next rows, (m, n') in words, with masks, as `LongRows` has them. n' is a multiple of N but for the last rows."""
        hidden = np.empty((len(rows), WORDS, rows.shape[1]), np.uint32)
        for low in range(0, rows.shape[1], DEGREE):
            self._blocks += 1
            part = rows[:, low : low + DEGREE]
            made = self._samples(self._blocks)[..., : part.shape[1]]
            made[:, 1] += (part & np.uint64(0xFFFFFFFF)).view(np.int64)
            made[:, 2] += (part >> _WORD).view(np.int64)
            hidden[..., low : low + DEGREE] = thirds_joined(made)
        return hidden.reshape(-1, rows.shape[1])

    def _samples(self, block: int) -> Integers:
        made = Wide(self._public.long(FORM, block, 1)).times(self._secrets)
        made[:, 0] += self._sampler.errors(len(made), DEGREE)
        return made

    def share(self, heard: Long, rows: int, bits: int) -> Words:
        """This party's shares of X^T h, (k, m) words, of the c that it heard of k vectors, (k, WORDS, N).

        bits: of the vectors' values, over so many rows.
        """
        found: Words = -upper(inner(self._inverted, heard))[..., 0].T
        return found + self._sampler.flood(*found.shape, bits=flood_bits(noise(rows, bits)) - UNIT)


class HeldColumns:
    """The other's matrix (n, m) as it was sent for these: `zeros` (m, WORDS, N), `masked` (n, m)."""

    def __init__(self, sampler: Sampler, public: Public, zeros: Long, masked: LongRows) -> None:
        self._sampler, self._public, self._zeros, self._masked = sampler, public, zeros, masked

    def hidden(self, vectors: Words) -> tuple[Long, Integers]:
        """c, (k, WORDS, N), of vectors h, (k, n') of signed numbers of 36 bits over the first rows, and the v of each."""
        count, rows = vectors.shape
        once = self._sampler.ternary(count, DEGREE)
        found, zero = [], spectrum(limbs(self._public.long(FORM, 0, 1)[0]))
        for first in range(0, count, _AT_ONCE):
            some = vectors[first : first + _AT_ONCE]
            total = Sum(len(some))
            for block, low in enumerate(range(0, rows, DEGREE), 1):
                part = np.zeros((len(some), DEGREE), np.uint64)
                part[:, : min(DEGREE, rows - low)] = some[:, low : low + DEGREE]
                total.add(inverted(part), self._public.long(FORM, block, 1)[0])
            sums = total.total + integers(zero * spectrum(once[first : first + _AT_ONCE])[:, None])
            sums[:, 0] += self._sampler.errors(len(some), DEGREE)
            found.append(joined(sums))
        return np.concatenate(found), once

    def share(self, vectors: Words, once: Integers, bits: int) -> Words:
        """This party's shares of X^T h, (k, m) words. bits: of the vectors' values."""
        found, low = self._masked.transposed(vectors)
        zero = joined(inner(_turned(once), self._zeros))[..., 0].astype(np.uint64)
        found += (low + zero[..., 0] >> _WORD) + (zero[..., 1] | zero[..., 2] << _WORD)
        return found + self._sampler.flood(*found.shape, bits=flood_bits(noise(vectors.shape[1], bits)) - UNIT)


def _turned(small: Integers) -> Integers:
    return inverted(small.view(np.uint64)).view(np.int64)
