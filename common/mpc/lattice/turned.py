"""A matrix's transpose times vectors: shares of X^T h for the X of one party and the h of the other, for 12 N bytes a vector.

The owner masks block b of N rows of column j as E_bj = a_b s_j + e + X_bj modulo 2^96 and sends its upper 64 bits: here each
block has a public a_b, the same for all columns, and each column a secret. E_0j masks nothing and is sent whole. For h the
other sends c = sum_b h_b(1 / X) a_b + v a_0 + e'. The constant coefficient of a product x(1 / X) y being an inner product, its
share for column j is sum_b <h_b, E_bj> + <v(1 / X), E_0j>, and the owner's is -<s_j(1 / X), c>. PROTOCOL.md section 20.

Floods. The owner's is as in `rows`, for sum_b <h_b, e_b>. Of who sees a sum the owner would know all but h, and has what it
cut, d_b, besides its rows: sum_b <h_b, d_b> would tell it as much again of h. It is 2^31 times what errors give, too large to
hide all of it; but where all that is unknown of h is a label in each row, the other's flood, an eighth as wide, leaves 2^-20.
"""

from __future__ import annotations

import math

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, integers, inverted, spectrum
from common.mpc.lattice.ring96 import UNIT, Long, Sum, Wide, cut, inner, joined, limbs, thirds_joined, upper
from common.mpc.lattice.sampled import ERROR_DEVIATION, FLOOD_BITS, SECRETS, Public, Sampler, flood_bits
from common.mpc.product import Rows, backward

FORM = 2
_LESS = 3  # bits by which the holder's flood is narrower: the noise of both is that of one
_AT_ONCE = 16  # vectors whose sums are in memory together


def noise(rows: int, bits: int) -> float:
    """The deviation of sum_b <h_b, e_b> + <v, e_0> - <s, e'> of h uniform in so many bits."""
    return math.hypot(ERROR_DEVIATION * math.sqrt(rows / 12) * 2.0**bits, SECRETS)


def floods(rows: int, bits: int) -> tuple[int, int]:
    """Bits of 96 of the owner's flood and of the other's, for vectors of values of so many bits over so many rows."""
    owner = flood_bits(noise(rows, bits))
    return owner, max(FLOOD_BITS, owner - _LESS)


class OwnColumns:
    """The secrets of a matrix (n, m) that this party has masked for products with its transpose."""

    def __init__(self, sampler: Sampler, public: Public, columns: int) -> None:
        self._sampler, self._public, self._blocks = sampler, public, 0
        secrets = sampler.ternary(columns, DEGREE)
        self._secrets, self._inverted = spectrum(secrets), _turned(secrets)

    def zeros(self) -> Long:
        """The samples that mask nothing, (m, WORDS, N)."""
        return thirds_joined(self._samples(0))

    def masked(self, rows: Words) -> Words:
        """The next rows, (m, n') in words, with masks. n' is a multiple of N but for the last rows."""
        hidden = np.empty_like(rows)
        for low in range(0, rows.shape[1], DEGREE):
            self._blocks += 1
            made = cut(self._samples(self._blocks))
            part = slice(low, min(low + DEGREE, rows.shape[1]))
            hidden[:, part] = made[:, : part.stop - low] + rows[:, part]
        return hidden

    def _samples(self, block: int) -> Integers:
        made = Wide(self._public.long(FORM, block, 1)).times(self._secrets)
        made[:, 0] += self._sampler.errors(len(made), DEGREE)
        return made

    def share(self, heard: Long, rows: int, bits: int) -> Words:
        """This party's shares of X^T h, (k, m) words, of the c that it heard of k vectors, (k, WORDS, N).

        bits: of the vectors' values, over so many rows.
        """
        found: Words = -upper(inner(self._inverted, heard))[..., 0].T
        return found + self._sampler.flood(*found.shape, bits=floods(rows, bits)[0] - UNIT)


class HeldColumns:
    """The other's matrix (n, m) as it was sent for these: `zeros` (m, WORDS, N), `masked` (n, m) words."""

    def __init__(self, sampler: Sampler, public: Public, zeros: Long, masked: Rows) -> None:
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
        found: Words = upper(inner(_turned(once), self._zeros))[..., 0]
        masked = self._masked[slice(vectors.shape[1])]
        found += np.stack([backward(masked, one) for one in vectors])
        return found + self._sampler.flood(*found.shape, bits=floods(vectors.shape[1], bits)[1] - UNIT)


def _turned(small: Integers) -> Integers:
    return inverted(small.view(np.uint64)).view(np.int64)
