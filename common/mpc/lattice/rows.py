"""A matrix times a vector: shares of X w for the X of one party and the w of the other, for 8 N bytes. PROTOCOL.md section 20.

The owner masks column j of each block of N rows as E_j = a_j s + e + X_j: the a_j are public and the same in all blocks, s is
the block's own secret. Column 0 masks nothing. For w the other sends c = sum_j w_j a_j + v a_0 + e', with v ternary and used
once. Its share of a block is sum_j w_j E_j + v E_0, the owner's is -c s; they sum to X w, but for small noise.
"""

from __future__ import annotations

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, Spectrum, Wide, spectrum
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.product import Rows, forward

FORM = 1
_AT_ONCE = 64  # blocks whose products are in memory together


def blocks_of(rows: int) -> int:
    """How many blocks of N rows so many rows fill, the last one perhaps in part."""
    return -(-rows // DEGREE)


class OwnRows:
    """The secrets of a matrix (n, m) that this party has masked."""

    def __init__(self, sampler: Sampler, public: Public, columns: int) -> None:
        self._sampler = sampler
        self._public = Wide(public.polynomials(FORM, 0, columns + 1))
        self._secrets: list[Spectrum] = []

    def masked(self, rows: Words) -> tuple[Words, Words]:
        """The next rows, (m, n'), with masks: column 0 in whole blocks, (blocks N,), and the others, (m, n').

        n' is a multiple of N but for the last rows.
        """
        columns, count = rows.shape
        zero = np.empty(blocks_of(count) * DEGREE, np.uint64)
        hidden = np.empty_like(rows)
        for low in range(0, count, DEGREE):
            secret = spectrum(self._sampler.ternary(DEGREE))
            self._secrets.append(secret)
            made = self._public.times(secret) + self._sampler.errors(columns + 1, DEGREE).view(np.uint64)
            part = slice(low, min(low + DEGREE, count))
            zero[low : low + DEGREE] = made[0]
            hidden[:, part] = made[1:, : part.stop - low] + rows[:, part]
        return zero, hidden

    def share(self, heard: Words, rows: int) -> Words:
        """This party's share of X w, (rows,) for the first rows, of the c that it heard, (N,)."""
        whole, found = Wide(heard), []
        for low in range(0, blocks_of(rows), _AT_ONCE):
            some = np.stack(self._secrets[low : min(low + _AT_ONCE, blocks_of(rows))])
            found.append(-whole.times(some).ravel())
        return np.concatenate(found)[:rows] + self._sampler.flood(rows)


class HeldRows:
    """The other's matrix (n, m) as it was sent: `zero` (blocks N,), `masked` (n, m)."""

    def __init__(self, sampler: Sampler, public: Public, zero: Words, masked: Rows) -> None:
        self._sampler, self._zero, self._masked = sampler, zero, masked
        self._public = public.polynomials(FORM, 0, masked.shape[1] + 1)

    def hidden(self, vector: Words) -> tuple[Words, Integers]:
        """c, (N,), of a vector w, (m,) modulo 2^64, and the v that it took."""
        once = self._sampler.ternary(DEGREE)
        c = np.einsum("j,ji->i", vector, self._public[1:]) + Wide(self._public[0]).times(spectrum(once))
        return c + self._sampler.errors(DEGREE).view(np.uint64), once

    def share(self, vector: Words, once: Integers, rows: int) -> Words:
        """This party's share of X w, (rows,) for the first rows."""
        value = spectrum(once)
        found = self._sampler.flood(rows)
        step = _AT_ONCE * DEGREE
        for low in range(0, rows, step):
            part = slice(low, min(low + step, rows))
            zero = self._zero[low : blocks_of(part.stop) * DEGREE].reshape(-1, DEGREE)
            found[part] += Wide(zero).times(value).ravel()[: part.stop - low]
            found[part] += forward(self._masked[part], vector)
        return found
