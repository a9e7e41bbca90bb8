"""The products of a descent under masks that their owner undoes itself: no dealer knows one. PROTOCOL.md section 20.

Scales, of words that are the upper 64 of 96 bits. Rows are lifted by 32 bits, and what multiplies them stands at 22 less the
period's, so that the period is the whole word: the sum of both shares of u wraps where u does. The ridge's rows are lifted by
26 bits and multiplied by the same weights, of which more bits count, in a sample of their own. For the way back rows are lifted
by 30 bits and residuals are at scale 19: an update is shared at scale 59. More bits of what multiplies take wider floods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from common.errors import LocalProtocolError
from common.learn.linear.joint import Sample
from common.learn.linear.path import Blocks, Step
from common.learn.span import Span
from common.mpc.circle import Points
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.fixedpoint import (
    MOMENTUM_SCALE,
    RESIDUAL_SCALE,
    RIDGE_SCALE,
    UNDEALT_SCALE,
    UPDATE_SCALE,
    WEIGHT_SCALE,
    X_SCALE,
    Words,
    as_words,
)
from common.mpc.lattice import embedding
from common.mpc.lattice.ring import DEGREE, Integers
from common.mpc.lattice.ring96 import WORDS, Long, flat, stacked
from common.mpc.lattice.rows import HeldRows, OwnRows, blocks_of
from common.mpc.lattice.sampled import NONCE_BYTES, Public, Sampler
from common.mpc.lattice.turned import HeldColumns, LongRows, OwnColumns
from common.mpc.link import Link
from common.mpc.prg import Prg
from common.mpc.product import Rows, backward, forward, in_memory
from common.mpc.session import Kind, Session
from common.party import Party

ROW_BITS = 32
RIDGE_BITS = 26
TURNED_BITS = 30
PULL_SCALE = UNDEALT_SCALE - X_SCALE - TURNED_BITS  # of a residual's share in products
PULL_BITS = 64 - TURNED_BITS  # of a residual's share that count
VECTOR_BITS = 64 - ROW_BITS  # of a weight's where it multiplies rows
COLUMNS_AT_ONCE = 8
_TO_UPDATE = np.uint64(UNDEALT_SCALE - UPDATE_SCALE)


def rounded(words: Words, drop: int, bits: int) -> Words:
    """Words without their low `drop` bits, to the nearest, as signed numbers of so many bits."""
    kept = (words + np.uint64(1 << drop - 1)).view(np.int64) >> drop
    return ((kept << (64 - bits)) >> (64 - bits)).view(np.uint64)


@dataclass(frozen=True, repr=False)
class _Own:
    rows: OwnRows
    ridge: OwnRows
    columns: OwnColumns


@dataclass(frozen=True, repr=False)
class _Held:
    rows: HeldRows
    ridge: HeldRows
    columns: HeldColumns


class Undealt:
    """Both matrices under ring-LWE masks, as one party holds them; made by `share_undealt`."""

    def __init__(
        self,
        session: Session,
        matrix: Rows,
        ridge: Words,
        link: Link,
        own: _Own,
        held: _Held,
        other: int,
        ridge_bits: int = RIDGE_BITS,
    ) -> None:
        """matrix, ridge: this party's own, in clear. other: columns of the other's. ridge_bits: lift of the ridge's rows."""
        self._ridge_vector_bits = 64 - ridge_bits
        self.session, self.matrix, self.ridge, self.own, self.held = session, matrix, ridge, own, held
        self.link, self.columns = link, (matrix.shape[1], other)

    @property
    def update_scale(self) -> int:
        return UNDEALT_SCALE

    @property
    def known(self) -> bool:
        return False

    @property
    def drop(self) -> int:
        """Low bits of a look-ahead that products do without."""
        return WEIGHT_SCALE + MOMENTUM_SCALE - vector_scale(self.link)

    async def begin(self, step: Step, ahead: Blocks) -> UndealtSweep:
        """Sends this party's share of the other's weights in two ring-LWE samples, 24 N bytes each way.

        One, for the rows, is of the bits that count there alone: with more, floods that hide the errors of their masks would
        be wider, and u noisier.
        """
        turns, ridge = await self.multiplied(ahead, step.high)
        return UndealtSweep(self, step, turns >> np.uint64(64 - self.link.bits), ahead.own, ridge)

    async def multiplied(self, ahead: Blocks, rows: int) -> tuple[Words, Blocks]:
        """Of the shared look-ahead: this party's share of u for the first rows, in 2^-64 of the link's period, without what
        its share of its own weights gives; and of the ridge's pull, both blocks."""
        vector = rounded(ahead.other * np.uint64(self.link.times), self.drop, VECTOR_BITS)
        wide = rounded(ahead.other, self.drop, self._ridge_vector_bits)
        (c, once), (ridge_c, ridge_once) = self.held.rows.hidden(vector), self.held.ridge.hidden(wide)
        both_c = flat(np.stack([c, ridge_c]))
        heard, ridge_heard = stacked(await self.session.exchange(Kind.LATTICE_WEIGHTS, both_c))

        def both() -> tuple[Words, Blocks]:
            turns = self.held.rows.share(vector, once, rows) + self.own.rows.share(heard, rows)
            pull = forward(self.ridge, ahead.own) << _TO_UPDATE
            mine = pull + self.own.ridge.share(ridge_heard, self.columns[0])
            return turns, Blocks(mine, self.held.ridge.share(wide, ridge_once, self.columns[1]))

        return await self.session.compute(both, rows * sum(self.columns))

    async def returned(self, vector: Words) -> Blocks:
        """Of this party's share of the residual, (1, n') of PULL_BITS bits: shares of both updates, without what it gives with
        this party's own rows. 12 N bytes each way."""
        rows = vector.shape[1]
        size = vector.size * max(self.columns)
        c, once = await self.session.compute(lambda: self.held.columns.hidden(vector), size)
        heard = stacked(await self.session.exchange(Kind.LATTICE_RESIDUAL, flat(c)))
        theirs = await self.session.compute(lambda: self.held.columns.share(vector, once, PULL_BITS), size)
        return Blocks(self.own.columns.share(heard, rows, PULL_BITS)[0], theirs[0])

    def owned(self, step: Step, weights: Words) -> UndealtSweep:
        raise LocalProtocolError("weights that their owner holds are trained under dealt masks alone; plans refuse others")

    async def across(self, sample: Sample) -> Words:
        """A share of the mean product of columns over the sample's rows, (m_G, m_B) at scale 60.

        One party sends its columns, each in a ring-LWE sample: 12 N bytes a column.
        """
        party, (own, other) = self.session.party, self.columns
        sends, most = sends_columns(party, own, other), min(own, other)
        found = []
        for low in range(0, most, COLUMNS_AT_ONCE):
            at = slice(low, min(low + COLUMNS_AT_ONCE, most))
            found.append(await (self._send_columns(sample, at) if sends else self._hear_columns(at.stop - at.start)))
        whole = np.concatenate(found)  # (the sender's columns, the other's)
        return whole.T if sends == (party is Party.BANK) else whole

    async def _send_columns(self, sample: Sample, at: slice) -> Words:
        def work() -> tuple[Long, Words]:
            vectors = self._vectors(sample, at)
            c, once = self.held.columns.hidden(vectors)
            return c, self.held.columns.share(vectors, once, PULL_BITS)

        c, share = await self.session.compute(work, self.matrix.shape[0] * self.columns[1])
        await self.session.send(Kind.LATTICE_COLUMNS, flat(c))
        return share

    async def _hear_columns(self, count: int) -> Words:
        heard = await self.session.receive(Kind.LATTICE_COLUMNS, np.uint32, (count * WORDS, DEGREE))
        return self.own.columns.share(stacked(heard), self.matrix.shape[0], PULL_BITS)

    def _vectors(self, sample: Sample, at: slice) -> Words:
        """Some of this party's columns, (k, n), as they multiply the other's: zero but in the sample's rows."""
        rows = self.matrix.shape[0]
        factor = float(sample.factor(sample.taken(rows))) * 2.0**-TURNED_BITS  # of scale 60, the rows' lift has that part
        out = np.zeros((at.stop - at.start, rows), np.uint64)
        for _, low, taken in sample.blocks(rows):
            part = self.matrix[low : low + taken.stop][taken, at].astype(np.int64) * factor
            out[:, low : low + taken.stop][:, taken] = as_words(np.rint(part)).T
        return out


class UndealtSweep:
    """One step's products under masks that their owner undoes."""

    def __init__(self, products: Undealt, step: Step, u: Words, point: Words, ridge: Blocks) -> None:
        """u: this party's share of what the weights that are shared give, (rows,). point: its share of its own weights."""
        self._products, self._u, self._point = products, u, point
        self._total = [Blocks.zero(*products.columns) for _ in range(step.addends)]
        self._total[-1] += ridge
        self._residual = np.zeros((len(step.bounds), step.high), np.uint64)

    @property
    def begun(self) -> tuple[()]:
        return ()

    def turns(self, rows: slice) -> Points:
        return self._products.link.turns(self._u[rows] + forward(self._products.matrix[rows], self._point))

    async def settle(self) -> None:
        """Nothing: what begins a sweep has arrived."""

    async def give(self, span: Span, residual: Words) -> None:
        matrix = self._products.matrix
        own = await self._products.session.compute(
            lambda: backward(matrix[span.slice], residual), span.rows * self._products.columns[0]
        )
        self._residual[span.part, span.slice] = rounded(residual, RESIDUAL_SCALE - PULL_SCALE, PULL_BITS)
        self._total[span.part] += Blocks(own << _TO_UPDATE, np.zeros_like(self._total[0].other))

    async def take(self, span: Span) -> None:
        """Nothing: what a span pulls is sent with the last."""

    async def pulled(self) -> list[Blocks]:
        """Sends this party's share of the residual of each part in a ring-LWE sample, 12 N bytes each way."""
        for part in range(len(self._residual)):
            self._total[part] += await self._products.returned(self._residual[part : part + 1])
        return self._total


def sends_columns(party: Party, own: int, other: int) -> bool:
    """Whether this party sends its columns to multiply the other's: who has fewer does, the bank if they are as many."""
    return own < other or (own == other and party is Party.BANK)


def vector_scale(link: Link) -> int:
    """The scale of weights in products: so that a word of u, times what makes its period a power of two, is a whole period."""
    return 64 - ROW_BITS - X_SCALE - (Fraction(link.period).numerator.bit_length() - 1)


async def draw_nonces(session: Session) -> dict[Party, bytes]:
    """Both parties' 32 bytes, drawn now; the grid's first."""
    nonce = Prg.fresh_seed()
    heard = await session.exchange(Kind.LATTICE_SEED, np.frombuffer(nonce, np.uint8), shape=(NONCE_BYTES,))
    found = {session.party: nonce, session.party.other: heard.tobytes()}
    return {party: found[party] for party in Party}


async def share_undealt(
    session: Session,
    own: Rows,
    own_ridge: Words,
    other_columns: int,
    link: Link,
    room: Callable[[tuple[int, int]], Rows] = in_memory,
) -> Undealt:
    """Each party masks its matrix twice, once for each way, under keys that it draws now and keeps for these products alone.

    From each 20 n m + 8 m^2 + 12 N m bytes, and 12 N for each block of N rows of either matrix. room: gives the places for the
    other's.
    """
    nonces = await draw_nonces(session)
    public, sampler = {p: Public(nonces, p) for p in Party}, Sampler(Prg.fresh_seed())
    return await share_masked(session, sampler, public, own, own_ridge, other_columns, link, room)


async def share_masked(
    session: Session,
    sampler: Sampler,
    public: dict[Party, Public],
    own: Rows,
    own_ridge: Words,
    other_columns: int,
    link: Link,
    room: Callable[[tuple[int, int]], Rows] = in_memory,
    turn: Callable[[Integers], Integers] | None = None,
    ridge_bits: int = RIDGE_BITS,
) -> Undealt:
    """The same under public polynomials there are.

    turn: of columns, (m, n'), what stands for them on the way back, in whole blocks of `embedding`; they themselves by default.
    ridge_bits: by how many the ridge's rows are lifted. Shares of a look-ahead count to as many bits above its rounding as are
    left of 64: the more of these, the less of the ridge.
    """
    (rows, columns), party = own.shape, session.party
    mine, theirs = public[party], public[party.other]
    rows_own, ridge_own = (OwnRows(sampler, mine, columns, bits) for bits in (VECTOR_BITS, 64 - ridge_bits))
    made = _Own(rows_own, ridge_own, OwnColumns(sampler, mine, columns))
    zeros = await session.exchange(Kind.LATTICE_MATRIX, flat(made.columns.zeros()), shape=(other_columns * WORDS, DEGREE))

    # rounded for both of its products: they are with shares, which are anything
    lost = RIDGE_SCALE - ridge_scale(link, ridge_bits)
    ridge = rounded(own_ridge, lost, 64 - ridge_bits)
    zero, hidden = made.ridge.masked(np.ascontiguousarray(ridge.T) << np.uint64(ridge_bits))
    ridge_zero = await session.exchange(Kind.LATTICE_MATRIX, flat(zero), shape=(blocks_of(other_columns) * WORDS, DEGREE))
    ridge_masked = await session.exchange(Kind.LATTICE_MATRIX, hidden, shape=(other_columns, other_columns))

    pieces = range(0, rows, MATRIX_BLOCK)
    back_rows = rows if turn is None else embedding.blocks_of(rows) * embedding.BLOCK
    masked, turned = room((rows, other_columns)), LongRows(back_rows, other_columns, room)
    zero_rows = np.empty((blocks_of(rows), WORDS, DEGREE), np.uint32)
    for low in pieces:
        part = own[low : low + MATRIX_BLOCK].T.astype(np.int64)

        def work(part: Integers = part) -> tuple[Long, Words, Long]:
            zero, hidden = made.rows.masked(part.view(np.uint64) << np.uint64(ROW_BITS))
            back = part if turn is None else turn(part)
            return zero, hidden, made.columns.masked(back.view(np.uint64) << np.uint64(TURNED_BITS))

        filled = slice(low // DEGREE, blocks_of(low + part.shape[1]))
        zero, hidden, back = await session.compute(work, 8 * part.size)
        await session.post(Kind.LATTICE_MATRIX, flat(zero))
        zero_rows[filled] = stacked(await session.collect(Kind.LATTICE_MATRIX, np.uint32, flat(zero).shape))
        await session.post(Kind.LATTICE_MATRIX, hidden)
        got = await session.collect(Kind.LATTICE_MATRIX, np.uint64, (other_columns, hidden.shape[1]))
        masked[low : low + hidden.shape[1]] = got.T
        await session.post(Kind.LATTICE_MATRIX, back)
        turned.put(low, await session.collect(Kind.LATTICE_MATRIX, np.uint32, (other_columns * WORDS, back.shape[1])))
    held = _Held(
        HeldRows(sampler, theirs, zero_rows, masked),
        HeldRows(sampler, theirs, stacked(ridge_zero), np.asfortranarray(ridge_masked.T)),
        HeldColumns(sampler, theirs, stacked(zeros), turned),
    )
    return Undealt(session, own, ridge << np.uint64(lost), link, made, held, other_columns, ridge_bits)


def ridge_scale(link: Link, ridge_bits: int = RIDGE_BITS) -> int:
    """The scale of the ridge's rows in products."""
    return UNDEALT_SCALE - ridge_bits - vector_scale(link)
