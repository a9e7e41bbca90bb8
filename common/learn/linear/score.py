"""Scores of rows by a model that nobody holds: three messages a block of rows, and one share at the end. PROTOCOL.md section 6.

u = X_G w_G + X_B w_B, the weights shared between the two. As in a training step each party hides its share of the other's
weights, and its own rows, by masks the dealer knows; the products are then local up to mask times mask, which the truncation
that cuts u to the grid of scores takes back.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import DataError, PeerProtocolError
from common.learn.dither import dither
from common.learn.learner import Telling
from common.learn.linear.deal import PRODUCT_SCALE, SCORE_SCALE, SCORE_SPARE, SCORE_WIDTH, ScoreDemand
from common.learn.linear.half import ClosedModel, CommittedModel, LinearModel, PartyModel
from common.learn.linear.score_undealt import UndealtScorer
from common.learn.lots import Lots, Piece
from common.learn.told import Teller
from common.mpc.correlations.asked import Correlations, TruncationPart
from common.mpc.fixedpoint import Reals, Words, decode, encode
from common.mpc.product import forward
from common.mpc.session import Kind, Session, one_ahead
from common.mpc.short import Sent, lengthen, sent_as, shorten
from common.mpc.tags import LIMBS, RING, minus, narrow, total, wide
from common.mpc.truncate import masked, shifted
from common.party import Party
from common.rows.table import FeatureTable


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
            u = forward(words, self._point) + forward(lengthen(theirs, SCORE_WIDTH, shape).T, self._mask)
            return masked(session.party, part, u + self._dither(table, piece.rows) << SCORE_SPARE)

        mine = await session.compute(open_u, words.size + math.prod(shape))
        await session.post(Kind.MASKED_UPDATE, mine)
        return _Opened(piece, part, mine)

    def _dither(self, table: FeatureTable, rows: slice) -> Words:
        """At the grid: uniform in half a step either way, (n,) at PRODUCT_SCALE; a hash of the row under a key that it has."""
        if self._session.party is Party.BANK:
            return np.zeros(rows.stop - rows.start, np.uint64)
        return dither(self._model.own.tobytes(), table.keys(rows), PRODUCT_SCALE - self._demand.bits)


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
