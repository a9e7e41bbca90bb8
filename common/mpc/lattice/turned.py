"""A matrix's transpose times vectors: shares of X^T h for the X of one party and the h of the other, for 8 N bytes a vector.

The owner masks block b of N rows of column j as E_bj = a_b s_j + e + X_bj: here each block has a public a_b, the same for all
columns, and each column a secret. E_0j masks nothing. For h the other sends c = sum_b h_b(1 / X) a_b + v a_0 + e'. The
constant coefficient of a product x(1 / X) y being an inner product, its share for column j is sum_b <h_b, E_bj> +
<v(1 / X), E_0j>, and the owner's is -<s_j(1 / X), c>. PROTOCOL.md section 20.
"""

from __future__ import annotations

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, Sum, Wide, inverted, spectrum
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.product import Rows, backward

FORM = 2
_AT_ONCE = 16  # vectors whose sums are in memory together


class OwnColumns:
    """The secrets of a matrix (n, m) that this party has masked for products with its transpose."""

    def __init__(self, sampler: Sampler, public: Public, columns: int) -> None:
        self._sampler, self._public, self._blocks = sampler, public, 0
        secrets = sampler.ternary(columns, DEGREE)
        self._secrets, self._inverted = spectrum(secrets), inverted(secrets.view(np.uint64))

    def zeros(self) -> Words:
        """The samples that mask nothing, (m, N)."""
        return self._samples(self._public.polynomials(FORM, 0, 1)[0])

    def masked(self, rows: Words) -> Words:
        """The next rows, (m, n'), with masks. n' is a multiple of N but for the last rows."""
        hidden = np.empty_like(rows)
        for low in range(0, rows.shape[1], DEGREE):
            self._blocks += 1
            made = self._samples(self._public.polynomials(FORM, self._blocks, 1)[0])
            part = slice(low, min(low + DEGREE, rows.shape[1]))
            hidden[:, part] = made[:, : part.stop - low] + rows[:, part]
        return hidden

    def _samples(self, public: Words) -> Words:
        made = Wide(public).times(self._secrets)
        return made + self._sampler.errors(*made.shape).view(np.uint64)

    def share(self, heard: Words) -> Words:
        """This party's shares of X^T h, (k, m), of the c that it heard of k vectors, (k, N)."""
        found: Words = -np.einsum("ki,ji->kj", heard, self._inverted)
        return found + self._sampler.flood(*found.shape)


class HeldColumns:
    """The other's matrix (n, m) as it was sent for these: `zeros` (m, N), `masked` (n, m)."""

    def __init__(self, sampler: Sampler, public: Public, zeros: Words, masked: Rows) -> None:
        self._sampler, self._public, self._zeros, self._masked = sampler, public, zeros, masked

    def hidden(self, vectors: Words) -> tuple[Words, Integers]:
        """c, (k, N), of vectors h, (k, n') of signed numbers of 35 bits over the first rows, and the v that each took."""
        count, rows = vectors.shape
        once = self._sampler.ternary(count, DEGREE)
        c = Wide(self._public.polynomials(FORM, 0, 1)[0]).times(spectrum(once))
        c += self._sampler.errors(count, DEGREE).view(np.uint64)
        for first in range(0, count, _AT_ONCE):
            some = vectors[first : first + _AT_ONCE]
            total = Sum(len(some))
            for block, low in enumerate(range(0, rows, DEGREE), 1):
                part = np.zeros((len(some), DEGREE), np.uint64)
                part[:, : min(DEGREE, rows - low)] = some[:, low : low + DEGREE]
                total.add(inverted(part), self._public.polynomials(FORM, block, 1)[0])
            c[first : first + _AT_ONCE] += total.total
        return c, once

    def share(self, vectors: Words, once: Integers) -> Words:
        """This party's shares of X^T h, (k, m)."""
        found: Words = np.einsum("ki,ji->kj", inverted(once.view(np.uint64)), self._zeros)
        masked = self._masked[slice(vectors.shape[1])]
        found += np.stack([backward(masked, one) for one in vectors])
        return found + self._sampler.flood(*found.shape)
