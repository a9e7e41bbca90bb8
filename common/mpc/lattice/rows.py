"""A matrix times a vector: shares of X w for the X of one party and the w of the other, for 12 N bytes. PROTOCOL.md section 20.

The owner masks column j of each block of N rows as E_j = a_j s + e + X_j modulo 2^96 and sends its upper 64 bits: the a_j are
public and the same in all blocks, s is the block's own secret. Column 0 masks nothing and is sent whole. For w the other sends
c = sum_j w_j a_j + v a_0 + e', with v ternary and used once. Its share of a block is sum_j w_j E_j + v E_0, the owner's is
-c s; they sum to X w, but for small noise.

What floods hide. The other, who knows w, v and e', lacks e and s: the owner's flood is the wider one, for sum_j w_j e_j. The
owner, who knows e and s, lacks v and e': the other's hides v e_0 - s e'. Whoever lets it see a sum, a dealer, lets it know w
too, so that what it cut, times w, tells it nothing.
"""

from __future__ import annotations

import math

import numpy as np

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, Spectrum, integers, spectrum
from common.mpc.lattice.ring96 import UNIT, WORDS, Long, Wide, cut, joined, limbs, thirds_joined, thirds_upper, weighted
from common.mpc.lattice.sampled import ERROR_DEVIATION, SECRETS, Public, Sampler, flood_bits
from common.mpc.product import Rows, forward

FORM = 1
_AT_ONCE = 64  # blocks whose products are in memory together


def blocks_of(rows: int) -> int:
    """How many blocks of N rows so many rows fill, the last one perhaps in part."""
    return -(-rows // DEGREE)


def noise(columns: int, bits: int) -> float:
    """The deviation of sum_j w_j e_j + v e_0 - s e' of w uniform in so many bits."""
    return math.hypot(ERROR_DEVIATION * math.sqrt(columns / 12) * 2.0**bits, SECRETS)


class OwnRows:
    """The secrets of a matrix (n, m) that this party has masked."""

    def __init__(self, sampler: Sampler, public: Public, columns: int, bits: int) -> None:
        """bits: of the vectors that multiply it."""
        self._sampler, self._flood = sampler, flood_bits(noise(columns, bits)) - UNIT
        self._public = Wide(public.long(FORM, 0, columns + 1))
        self._secrets: list[Spectrum] = []

    def masked(self, rows: Words) -> tuple[Long, Words]:
        """The next rows, (m, n') in words, with masks: column 0, (blocks, WORDS, N), and the others, (m, n') words.

        n' is a multiple of N but for the last rows.
        """
        columns, count = rows.shape
        zero = np.empty((blocks_of(count), WORDS, DEGREE), np.uint32)
        hidden = np.empty_like(rows)
        for block, low in enumerate(range(0, count, DEGREE)):
            secret = spectrum(self._sampler.ternary(DEGREE))
            self._secrets.append(secret)
            made = self._public.times(secret)
            made[:, 0] += self._sampler.errors(columns + 1, DEGREE)
            part = slice(low, min(low + DEGREE, count))
            zero[block] = thirds_joined(made[0])
            hidden[:, part] = cut(made[1:])[:, : part.stop - low] + rows[:, part]
        return zero, hidden

    def share(self, heard: Long, rows: int) -> Words:
        """This party's share of X w, (rows,) words for the first rows, of the c that it heard, (WORDS, N)."""
        whole, found = Wide(heard), []
        for low in range(0, blocks_of(rows), _AT_ONCE):
            some = np.stack(self._secrets[low : min(low + _AT_ONCE, blocks_of(rows))])
            found.append(-thirds_upper(whole.times(some)).ravel())
        return np.concatenate(found)[:rows] + self._sampler.flood(rows, bits=self._flood)


class HeldRows:
    """The other's matrix (n, m) as it was sent: `zero` (blocks, WORDS, N), `masked` (n, m) words."""

    def __init__(self, sampler: Sampler, public: Public, zero: Long, masked: Rows) -> None:
        self._sampler, self._zero, self._masked = sampler, zero, masked
        self._public = public.long(FORM, 0, masked.shape[1] + 1)

    def hidden(self, vector: Words) -> tuple[Long, Integers]:
        """c, (WORDS, N), of a vector w, (m,) of signed numbers of up to 44 bits, and the v that it took."""
        once = self._sampler.ternary(DEGREE)
        sums = weighted(vector, self._public[1:])
        sums += integers(spectrum(limbs(self._public[0])) * spectrum(once))
        sums[0] += self._sampler.errors(DEGREE)
        return joined(sums), once

    def share(self, vector: Words, once: Integers, rows: int) -> Words:
        """This party's share of X w, (rows,) words for the first rows."""
        value = spectrum(once)
        found = self._sampler.flood(rows)
        step = _AT_ONCE * DEGREE
        for low in range(0, rows, step):
            part = slice(low, min(low + step, rows))
            zero = Wide(self._zero[low // DEGREE : blocks_of(part.stop)]).times(value)
            found[part] += thirds_upper(zero).ravel()[: part.stop - low]
            found[part] += forward(self._masked[part], vector)
        return found
