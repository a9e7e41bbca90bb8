"""Shares that their holder is committed to: masked once, kept by the other, who multiplies them by rows whenever it likes.

The holder of a vector w, (m,), masks each word as a constant polynomial, E_j = a_j s + e + 2^LIFT w_j, and E_0 holds nothing;
the a_j are public, s is its own. The other keeps E. Of a block of N rows, column j of which is the polynomial X_j, it sends
c = sum_j X_j a_j + v a_0 + e', v ternary and used once. Its share is sum_j X_j E_j + v E_0, the holder's is -c s; they sum to
2^LIFT X w but for small noise. So no later message of the holder is part of what is multiplied. PROTOCOL.md section 21.
"""

from __future__ import annotations

import numpy as np

from common.mpc.committed import Committed, mark_of
from common.mpc.fixedpoint import WEIGHT_SCALE, X_SCALE, Words
from common.mpc.lattice.ring import DEGREE, NUMBER, Sum, Wide, spectrum
from common.mpc.lattice.rows import blocks_of
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.prg import Prg
from common.mpc.session import Kind, Session
from common.party import Party

FORM = 5
LIFT = 20
COMMITTED_SCALE = X_SCALE + WEIGHT_SCALE + LIFT
"""Of products of rows: u below 2^13 in size."""
_AT_ONCE = 64  # columns that are masked together
_PRODUCT = 16  # words' worth of a word that is multiplied
_ROW_LIMBS = NUMBER[:2]  # a row's values are of 17 bits and a sign: X_LIMIT


def public_of(committed: Committed, holder: Party) -> Public:
    """The public polynomials under which `holder` has masked its shares."""
    return Public(dict(zip(Party, committed.halves, strict=True)), holder)


async def commit(session: Session, nonces: dict[Party, bytes], words: Words, columns: int) -> Committed:
    """Both mask their shares of the other's block, under keys drawn now, and keep the other's: 8 N (m' + 1) bytes.

    words: this party's, (m',), of which the low 64 - LIFT bits count. columns: m, of its own block. nonces: agreed in this job.
    """
    sampler, public = Sampler(Prg.fresh_seed()), Public(nonces, session.party)
    secret = sampler.ternary(DEGREE)
    key, count = spectrum(secret), len(words) + 1

    def masked() -> Words:
        made = np.empty((count, DEGREE), np.uint64)
        for low in range(0, count, _AT_ONCE):
            part = slice(low, min(low + _AT_ONCE, count))
            made[part] = Wide(public.polynomials(FORM, low, part.stop - low)).times(key)
        made += sampler.errors(*made.shape).view(np.uint64)
        made[1:, 0] += words << np.uint64(LIFT)
        return made

    made = await session.compute(masked, _PRODUCT * count * DEGREE)
    theirs = await session.exchange(Kind.LATTICE_MODEL, made, shape=(columns + 1, DEGREE))
    return Committed(words, secret, theirs, b"".join(nonces[party] for party in Party), mark_of(made))


class CommittedProducts:
    """Products of both parties' rows with shares that the other is committed to, in one job."""

    def __init__(self, party: Party, committed: Committed, flood_bits: int) -> None:
        """flood_bits: of the noise that hides what a share is off by, at COMMITTED_SCALE."""
        self._committed, self._bits = committed, flood_bits
        self._sampler, self._secret = Sampler(Prg.fresh_seed()), spectrum(committed.secret)
        self._public = public_of(committed, party.other).polynomials(FORM, 0, committed.columns + 1)

    def multiplied(self, rows: Words) -> tuple[Words, Words]:
        """c, (blocks, N), of this party's rows, (n, m) at X_SCALE, and its share of their products, (n,)."""
        count, columns = rows.shape
        blocks, masked = blocks_of(count), self._committed.masked
        c, share = Sum(blocks, _ROW_LIMBS), Sum(blocks, _ROW_LIMBS)
        for column in range(columns):
            part = np.zeros((blocks, DEGREE), np.uint64)
            part.reshape(-1)[:count] = rows[:, column]
            c.add(part, self._public[1 + column])
            share.add(part, masked[1 + column])
        once = spectrum(self._sampler.ternary(blocks, DEGREE))
        hidden = c.total + Wide(self._public[0]).times(once) + self._sampler.errors(blocks, DEGREE).view(np.uint64)
        mine = (share.total + Wide(masked[0]).times(once)).ravel()[:count]
        return hidden, mine + self._sampler.flood(count, bits=self._bits)

    def share(self, heard: Words, count: int) -> Words:
        """This party's share of the products of the other's rows, (count,), of the c that it heard, (blocks, N)."""
        found: Words = (-Wide(heard).times(self._secret)).ravel()[:count]
        return found + self._sampler.flood(count, bits=self._bits)
