"""Scores of rows by a model that nobody holds: three messages a block of rows, and one share at the end. PROTOCOL.md section 6.

u = X_G w_G + X_B w_B, the weights shared between the two. As in a training step each party hides its share of the other's
weights, and its own rows, by masks the dealer knows; the products are then local up to mask times mask, which the truncation
that cuts u to the grid of scores takes back.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from common.errors import DataError, PeerProtocolError
from common.learn.dither import dither
from common.learn.learner import Request, Telling
from common.learn.linear.deal_scores import PRODUCT_SCALE, SCORE_SCALE, SCORE_SPARE, SCORE_WIDTH, ScoreDemand
from common.learn.linear.half import ClosedModel, CommittedModel, LinearModel, PartyModel
from common.learn.linear.score_undealt import Asked as AskedUndealt
from common.learn.linear.score_undealt import UndealtScorer
from common.learn.lots import Lots, Piece
from common.learn.rounds import Later
from common.learn.told import Teller
from common.mpc.beside import one_ahead
from common.mpc.correlations.asked import Correlations, TruncationPart
from common.mpc.fixedpoint import Reals, Words, decode, encode
from common.mpc.product import forward
from common.mpc.session import Kind, Session
from common.mpc.short import Sent, lengthen, sent_as, shorten
from common.mpc.tags import LIMBS, RING, minus, narrow, total, wide
from common.mpc.truncate import masked, shifted
from common.party import Party
from common.rows.table import FeatureTable, Index


@dataclass(repr=False)
class _Masks:
    """What masks the rows of a lot, once it is asked for. hide: (m, rows), of own columns."""

    hide: Words | None = None
    part: TruncationPart | None = None


_Piece = Piece[_Masks]


@dataclass(repr=False)
class _Opened:
    """A piece whose share of c is on its way."""

    piece: _Piece
    part: TruncationPart
    mine: Words


class Scorer:
    """Scores tables of rows by one closed model, one after the other, within the rows of one demand.

    The weights are masked once, when it starts; each row has masks of its own, taken in order, whatever becomes of it. The
    other party must score tables of as many rows in the same order.
    """

    def __init__(self, session: Session, correlations: Correlations, model: ClosedModel, demand: ScoreDemand) -> None:
        self._session, self._correlations, self._model, self._demand = session, correlations, model, demand
        self._point = self._mask = np.zeros(0, np.uint64)
        self._lots, self.scale = Lots[_Masks](demand.blocks(), demand.rows), demand.bits

    async def start(self) -> None:
        """Exchanges the masked shares of the other's weights, with a tag of all: one round, 16 (m_other + 1) bytes.

        Raises PeerProtocolError for what is not the share that training left, but for one in 2^64 of this party's factors;
        DataError where tags.key is not the one that the model was trained with.
        """
        own, held, key = self._model.own, self._model.tagged, self._demand.key
        await self._correlations.order(self._demand)
        self._mask = self._correlations.weight_mask(key, len(held.values))
        mask = await self._correlations.mask_tag(key, self._mask)
        self._check_keys(mask.marks)
        mine = narrow([*minus(held.values, mask.values), (sum(held.tags) - mask.tag) % RING])
        theirs = await self._session.exchange(Kind.MASKED_WEIGHTS, mine, shape=(LIMBS * (len(own) + 1),))
        *values, tag = wide(theirs)
        if tag != total(self._correlations.factors(len(own)), values, sum(held.pads) - mask.pad):
            raise PeerProtocolError(
                "the other party's shares of the model are not those that training left: nothing was scored",
                remedy="Ask it whether its model's folder was changed or put back; else train again.",
            )
        self._point = own + theirs[:-LIMBS:LIMBS]

    def _check_keys(self, marks: bytes) -> None:
        """Tags by another key than those of training would tell its owner the masks they are of, so nothing is sent."""
        held, half = self._model.tagged.marks, len(marks) // 2
        if marks[:half] != held[:half]:
            text = f"tags.key is not the one that the model of job {self._model.job} was trained with"
            raise DataError(text, public=text, remedy="Put it back from a back-up; else train the model again.")
        if marks[half:] != held[half:]:
            raise PeerProtocolError(
                "the other party's tags.key is not the one that this model was trained with, or that this stock was dealt with",
                remedy="It puts tags.key back from a back-up; else deal the stock, or train the model, again.",
            )

    async def warm(self) -> None:
        """Expands the masks of the first block, which the first row would else wait for."""
        if (lot := self._lots.ahead()) is not None:
            hide = await asyncio.to_thread(self._correlations.matrix_mask, lot.key, lot.rows, len(self._point))
            lot.masks = _Masks(hide, await self._correlations.truncation(lot.key, lot.rows))

    async def score(self, table: FeatureTable) -> tuple[Words, int]:
        """This party's share of u, (n,), u rounded up or down at random to 2^-bits; how many own values were held at X_LIMIT.

        The grid adds a dither of a step's width that is the same whenever this model scores this row: rounding at random
        would else tell finer bits to whoever has a row scored again and again, and takes the mean. PolicyError for more rows
        than are left.

        1. for each block of rows, exchange the masked rows, 6 m_own bytes a row; u is then local, off by what the dealer knows
        2. exchange the masked u, 8 bytes a row: the truncation to 2^-bits
        Blocks go through these one behind the other, so that the network works while this side computes.
        """
        session, shift = self._session, SCORE_SCALE - self._demand.bits
        out: Words = np.empty(table.rows, np.uint64)
        waiting, sent, opened, held = self._lots.take(table.rows), deque[tuple[_Piece, Words]](), deque[_Opened](), 0
        hiding = ((partial(self._hide, table, piece), self._work(piece)) for piece in tuple(waiting))
        async with one_ahead(session.begin(*each) for each in hiding) as coming:
            while waiting or sent or opened:
                arriving, ready = bool(sent), bool(opened)
                if waiting:
                    piece = waiting.popleft()
                    words, beyond, hidden = await coming()
                    held += beyond
                    await session.post(Kind.MASKED_MATRIX, hidden)
                    sent.append((piece, words))
                if arriving:
                    opened.append(await self._open(table, *sent.popleft()))
                if ready:
                    last = opened.popleft()
                    c = last.mine + await session.collect(Kind.MASKED_UPDATE, np.uint64, last.mine.shape)
                    out[last.piece.rows] = shifted(session.party, last.part, c, shift)
                    session.reporter.progress(last.piece.rows.stop, table.rows)
        return out, held

    def _work(self, piece: _Piece) -> int:
        expanded = piece.lot.masks is not None and piece.lot.masks.hide is not None
        return len(self._point) * (piece.count if expanded else piece.lot.rows)

    def _hide(self, table: FeatureTable, piece: _Piece) -> tuple[Words, int, Sent]:
        """Own rows of a piece, (n, m) column-major, how many values were held, and the rows as they are sent, of (m, n)."""
        masks, lot = piece.lot.begun(_Masks), piece.lot
        words, held = self._model.whitened(table.part(piece.rows.start, piece.rows.stop))
        if masks.hide is None:
            masks.hide = self._correlations.matrix_mask(lot.key, lot.rows, words.shape[1])
        hidden = shorten(words.T - masks.hide[:, piece.at], SCORE_WIDTH)
        if piece.last:
            masks.hide = None  # all of it is used
        return words, held, hidden

    async def _open(self, table: FeatureTable, piece: _Piece, words: Words) -> _Opened:
        session, masks, lot = self._session, piece.lot.begun(_Masks), piece.lot
        shape = len(self._mask), piece.count
        theirs = await session.collect(Kind.MASKED_MATRIX, *sent_as(shape, SCORE_WIDTH))
        if masks.part is None:
            masks.part = await self._correlations.truncation(lot.key, lot.rows)
        part = masks.part.at(piece.at)

        def open_u() -> Words:
            return self.masked_u(words, lengthen(theirs, SCORE_WIDTH, shape), part, self._dither(table, piece.rows))

        mine = await session.compute(open_u, words.size + math.prod(shape))
        await session.post(Kind.MASKED_UPDATE, mine)
        return _Opened(piece, part, mine)

    async def ask(self, table: FeatureTable, at: Index, count: int) -> tuple[Asked, int]:
        """Rows that the bank asks for, which it sends, masked, with its request; as `learner.RowScores.ask`.

        All of them are masked, whatever becomes of them: 6 m bytes each. And how many own values were held at X_LIMIT.
        """
        session, own = self._session, len(self._point)
        words, held = np.empty((0, own), np.uint64), 0
        if table.rows:
            words, held = await session.compute(lambda: self._model.whitened(table), table.rows * own)
        hide, part = await self._taken(count)
        if session.party is Party.BANK:
            hidden = await session.compute(lambda: shorten(words.T - hide, SCORE_WIDTH), count * own)
            await session.post(Kind.MASKED_MATRIX, hidden)
            return Asked(self, words, part, at), held
        shape = len(self._mask), count
        theirs = await session.collect(Kind.MASKED_MATRIX, *sent_as(shape, SCORE_WIDTH))

        def open_u() -> tuple[Words, Words]:
            their = lengthen(theirs, SCORE_WIDTH, shape)[:, at]
            return words.T - hide[:, at], self.masked_u(words, their, part.at(at), self._dither(table, slice(None)))

        hidden, mine = await session.compute(open_u, words.size + math.prod(shape))
        return Asked(self, words, part, at, hidden, mine), held

    async def _taken(self, rows: int) -> tuple[Words, TruncationPart]:
        """Masks of own columns, (m, rows), and the part of the truncation, of rows that nobody takes again."""
        hides, parts = list[Words](), list[TruncationPart]()
        for piece in self._lots.take(rows):
            masks, lot = piece.lot.begun(_Masks), piece.lot
            if masks.hide is None:
                masks.hide = await asyncio.to_thread(self._correlations.matrix_mask, lot.key, lot.rows, len(self._point))
            if masks.part is None:
                masks.part = await self._correlations.truncation(lot.key, lot.rows)
            hides.append(masks.hide[:, piece.at])
            parts.append(masks.part.at(piece.at))
            if piece.last:
                masks.hide = None
        return hides[0] if len(hides) == 1 else np.concatenate(hides, axis=1), TruncationPart.joined(parts)

    def masked_u(self, words: Words, theirs: Words, part: TruncationPart, plus: Words) -> Words:
        """This party's share of c, (n,). words: own rows, (n, m); theirs: the other's masked ones, (m', n); plus: to u."""
        u = forward(words, self._point) + forward(theirs.T, self._mask) + plus
        return masked(self._session.party, part, u << SCORE_SPARE)

    @property
    def width(self) -> int:
        """Columns of the other party."""
        return len(self._mask)

    def _dither(self, table: FeatureTable, rows: slice) -> Words:
        """At the grid: uniform in half a step either way, (n,) at PRODUCT_SCALE; a hash of the row under a key that it has."""
        if self._session.party is Party.BANK:
            return np.zeros(rows.stop - rows.start, np.uint64)
        return dither(self._model.own.tobytes(), table.keys(rows), PRODUCT_SCALE - self._demand.bits)


@dataclass(repr=False)
class Asked:
    """Rows that the bank asks for, at one party: what it opens of those that may be scored. PROTOCOL.md section 6.

    words: of own rows, (n, m), at their places `at` among those asked for; part: of all that are asked for. hidden, mine: at
    the grid, its rows masked, (m, n), and its share of c, (n,).
    """

    scorer: Scorer
    words: Words
    part: TruncationPart
    at: Index
    hidden: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    mine: Words = field(default_factory=lambda: np.zeros(0, np.uint64))

    async def tell(self, session: Session, kept: Index, kind: Kind) -> None:
        """At the grid: masked rows, its share of c, and both shares of the mask that c needs: 6 m + 24 bytes a row."""
        which, part = np.searchsorted(self.at, kept), self.part.at(kept)
        await session.post(Kind.MASKED_MATRIX, shorten(np.ascontiguousarray(self.hidden[:, which]), SCORE_WIDTH))
        await session.post(Kind.MASKED_UPDATE, self.mine[which])
        await session.send(kind, np.stack([part.body, part.top], axis=1))

    async def hear(self, session: Session, kept: Index, kind: Kind, shift: int) -> Words:
        """At the bank: u of these rows in steps, (k,)."""
        shape = self.scorer.width, len(kept)
        theirs = await session.collect(Kind.MASKED_MATRIX, *sent_as(shape, SCORE_WIDTH))
        their_c = await session.collect(Kind.MASKED_UPDATE, np.uint64, kept.shape)
        body, top = (await session.receive(kind, np.uint64, (len(kept), 2))).T
        part = self.part.at(kept)

        def open_u() -> Words:
            mine = self.scorer.masked_u(self.words[kept], lengthen(theirs, SCORE_WIDTH, shape), part, np.zeros(1, np.uint64))
            whole = TruncationPart(part.mask, part.body + body, part.top + top)
            return shifted(session.party, whole, mine + their_c, shift)

        return await session.compute(open_u, self.words.size + math.prod(shape))


@dataclass(frozen=True, repr=False)
class _Request:
    """`Asked` as a `learner.Request`."""

    session: Session
    asked: Asked
    telling: Telling
    taken: int

    async def open(self, kept: Index) -> Reals | None:
        session, kind, bits = self.session, self.telling.kind, self.asked.scorer.scale
        if session.party is Party.GRID:
            await self.asked.tell(session, kept, kind)
            return None
        return decode(await self.asked.hear(session, kept, kind, SCORE_SCALE - bits), bits)


@dataclass(frozen=True, repr=False)
class _Undealt:
    """The same where nobody dealt."""

    session: Session
    asked: AskedUndealt
    telling: Telling
    taken = 0

    async def open(self, kept: Index) -> Reals | None:
        return await self.asked.open(self.session, kept, self.telling.kind)


class Scores:
    """Scores of tables of rows to the bank, one table after another, by one model: masked once, where nobody holds it."""

    def __init__(self, session: Session, by: Scorer | UndealtScorer | PartyModel, telling: Telling) -> None:
        self._session, self._by, self._telling = session, by, telling
        self._teller = Teller(session, telling)

    @classmethod
    async def begin(
        cls, session: Session, correlations: Correlations, model: LinearModel, rows: int, telling: Telling
    ) -> Scores:
        """For at most so many rows in all, or as many as are dealt. One round of a closed model."""
        if isinstance(model, PartyModel):
            return cls(session, model, telling)
        if isinstance(model, CommittedModel):
            undealt = UndealtScorer(session, model, telling.bits)
            await undealt.start()
            return cls(session, undealt, telling)
        scorer = Scorer(session, correlations, model, demand_of(model, rows, telling))
        await scorer.start()
        return cls(session, scorer, telling)

    async def warm(self) -> None:
        """Does now what the first row would else wait for."""
        if not isinstance(self._by, PartyModel):
            await self._by.warm()

    async def open(self, table: FeatureTable) -> Reals | None:
        """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid, which sends the kind.

        Of an opened model the bank's own part is not rounded.
        """
        if isinstance(self._by, PartyModel):
            return await _add_parts(self._session, self._by, table, self._telling.kind, self._telling.bits)
        return await self._teller.tell(*await self._by.score(table), self._by.scale)

    async def ask(self, table: FeatureTable, at: Index, count: int) -> Request:
        """As `learner.RowScores.ask`: of a closed model the bank sends its rows, and the grid's answer is the last message."""
        if isinstance(self._by, PartyModel):
            return Later(self, table, at)
        asked, held = await self._by.ask(table, at, count)
        self._teller.warn(held)
        if isinstance(asked, AskedUndealt):
            return _Undealt(self._session, asked, self._telling)
        return _Request(self._session, asked, self._telling, count)


async def open_scores(
    session: Session, correlations: Correlations, model: LinearModel, table: FeatureTable, telling: Telling
) -> Reals | None:
    """As `Scores.open` tells them, of one table."""
    return await (await Scores.begin(session, correlations, model, table.rows, telling)).open(table)


async def _add_parts(session: Session, model: PartyModel, table: FeatureTable, kind: Kind, bits: int) -> Reals | None:
    """Of a model whose weights each side holds: the grid sends its part of u, rounded. One message, 8 n bytes."""
    part = await session.compute(lambda: model.partial_scores(table), table.rows * len(model.weights))
    if session.party is Party.GRID:
        await session.send(kind, encode(part, bits))
        return None
    return part + decode(await session.receive(kind, np.uint64, (table.rows,)), bits)


def demand_of(model: ClosedModel, rows: int, telling: Telling) -> ScoreDemand:
    """What scoring so many rows by this model consumes, or as many as are dealt."""
    own, other = len(model.own), len(model.other)
    grid, bank = (own, other) if model.party is Party.GRID else (other, own)
    return ScoreDemand(telling.number, telling.dealt or rows, grid, bank, telling.bits)
