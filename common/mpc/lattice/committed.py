"""Shares that their holder is committed to: masked once, kept by the other, who multiplies them by rows whenever it likes.

The holder of a vector w, (m,), masks each word as a constant polynomial modulo 2^96, E_j = a_j s + e + 2^(LIFT + UNIT) w_j,
and E_0 holds nothing; the a_j are public, s is its own. The other keeps E. Of a block of N rows, column j of which is the
polynomial X_j, it sends c = sum_j X_j a_j + v a_0 + e', v ternary and used once. Its share is what is kept of sum_j X_j E_j +
v E_0, the holder's that of -c s; they sum to 2^LIFT X w but for noise and floods. So no later message of the holder is part of
what is multiplied. Nothing is cut before that: what was cut, times rows, would be as wide as floods of a score's finest step.

Floods hide sum_j X_j e_j + v e_0 - s e': the holder, who knows e and s, lacks X, v and e'; the other lacks e and s.
PROTOCOL.md section 21.
"""

from __future__ import annotations

import math

import numpy as np

from common.mpc.committed import Committed, mark_of
from common.mpc.fixedpoint import WEIGHT_SCALE, X_SCALE, Words
from common.mpc.lattice.ring import DEGREE, integers, spectrum
from common.mpc.lattice.ring96 import (
    UNIT,
    WORDS,
    Long,
    Sum,
    Wide,
    flat,
    joined,
    limbs,
    stacked,
    thirds_joined,
    thirds_upper,
    upper,
)
from common.mpc.lattice.rows import blocks_of
from common.mpc.lattice.sampled import ERROR_DEVIATION, SECRETS, Public, Sampler, flood_bits
from common.mpc.prg import Prg
from common.mpc.session import Kind, Session
from common.party import Party

FORM = 5
LIFT = 20
COMMITTED_SCALE = X_SCALE + WEIGHT_SCALE + LIFT
"""Of products of rows: u below 2^13 in size."""
_AT_ONCE = 64  # columns that are masked together
_PRODUCT = 16  # words' worth of a word that is multiplied
_ROW_DIGITS = 2  # a row's values are of 17 bits and a sign: X_LIMIT


def noise(columns: int) -> float:
    """The deviation of sum_j X_j e_j + v e_0 - s e' of whitened rows, whose columns have a deviation of 1."""
    return math.hypot(ERROR_DEVIATION * math.sqrt(columns * DEGREE) * 2.0**X_SCALE, SECRETS)


def flood_width(columns: int, least: int) -> int:
    """Bits, of words, of either flood of products of so many columns: `least`, or what hides their noise, if that is more."""
    return max(least, flood_bits(noise(columns)) - UNIT)


def public_of(committed: Committed, holder: Party) -> Public:
    """The public polynomials under which `holder` has masked its shares."""
    return Public(dict(zip(Party, committed.halves, strict=True)), holder)


async def commit(session: Session, nonces: dict[Party, bytes], words: Words, columns: int) -> Committed:
    """Both mask their shares of the other's block, under keys drawn now, and keep the other's: 12 N (m' + 1) bytes.

    words: this party's, (m',), of which the low 64 - LIFT bits count. columns: m, of its own block. nonces: agreed in this job.
    """
    sampler, public = Sampler(Prg.fresh_seed()), Public(nonces, session.party)
    secret = sampler.ternary(DEGREE)
    key, count = spectrum(secret), len(words) + 1

    lifted = np.zeros(count, np.uint64)
    lifted[1:] = words << np.uint64(LIFT)

    def masked() -> Long:
        found = np.empty((count, WORDS, DEGREE), np.uint32)
        for low in range(0, count, _AT_ONCE):
            part = slice(low, min(low + _AT_ONCE, count))
            made = Wide(public.long(FORM, low, part.stop - low)).times(key)
            made[:, 0] += sampler.errors(len(made), DEGREE)
            made[:, 1, 0] += (lifted[part] & np.uint64(0xFFFFFFFF)).view(np.int64)
            made[:, 2, 0] += (lifted[part] >> np.uint64(UNIT)).view(np.int64)
            found[part] = thirds_joined(made)
        return found

    made = await session.compute(masked, _PRODUCT * count * DEGREE)
    theirs = await session.exchange(Kind.LATTICE_MODEL, flat(made), shape=((columns + 1) * WORDS, DEGREE))
    return Committed(words, secret, stacked(theirs), b"".join(nonces[party] for party in Party), mark_of(made))


class CommittedProducts:
    """Products of both parties' rows with shares that the other is committed to, in one job."""

    def __init__(self, party: Party, committed: Committed, flood: int) -> None:
        """flood: bits of the noise that hides what a share is off by, at COMMITTED_SCALE, for columns that ask for no more."""
        self._committed = committed
        self._own_bits, self._bits = flood_width(committed.columns, flood), flood_width(len(committed.words), flood)
        self._sampler, self._secret = Sampler(Prg.fresh_seed()), spectrum(committed.secret)
        self._public = public_of(committed, party.other).long(FORM, 0, committed.columns + 1)

    def multiplied(self, rows: Words) -> tuple[Long, Words]:
        """c, (blocks, WORDS, N), of this party's rows, (n, m) at X_SCALE, and its share of their products, (n,)."""
        count, columns = rows.shape
        blocks, masked = blocks_of(count), self._committed.masked
        c, share = Sum(blocks, _ROW_DIGITS), Sum(blocks, _ROW_DIGITS)
        for column in range(columns):
            part = np.zeros((blocks, DEGREE), np.uint64)
            part.reshape(-1)[:count] = rows[:, column]
            c.add(part, self._public[1 + column])
            share.add(part, masked[1 + column])
        once = spectrum(self._sampler.ternary(blocks, DEGREE))[:, None]
        hidden = c.total + integers(spectrum(limbs(self._public[0])) * once)
        hidden[:, 0] += self._sampler.errors(blocks, DEGREE)
        mine = upper(share.total + integers(spectrum(limbs(masked[0])) * once)).ravel()[:count]
        return joined(hidden), mine + self._sampler.flood(count, bits=self._own_bits)

    def share(self, heard: Long, count: int) -> Words:
        """This party's share of the products of the other's rows, (count,), of the c that it heard, (blocks, WORDS, N)."""
        found: Words = (-thirds_upper(Wide(heard).times(self._secret))).ravel()[:count]
        return found + self._sampler.flood(count, bits=self._bits)
