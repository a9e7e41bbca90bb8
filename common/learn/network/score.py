"""Scores of rows by a network that nobody holds: three messages a block of rows, and one share at the end. Section 15."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

from common.learn.dither import dither
from common.learn.learner import Telling
from common.learn.lots import Lot, Lots, Piece
from common.learn.network.activations import LOOK_UP, MASKS, NAMES
from common.learn.network.deal import NetworkScoreDemand
from common.learn.network.descent import Point, ahead_of, share_point
from common.learn.network.half import NetworkModel
from common.learn.network.scales import AHEAD
from common.learn.network.units import Seat, UnitMasks
from common.learn.network.weights import Weights
from common.learn.rounds import Later
from common.learn.told import Teller
from common.mpc.correlations.asked import Correlations, TruncationPart
from common.mpc.fixedpoint import Reals, Words
from common.mpc.product import forward_units
from common.mpc.session import Kind, Session
from common.mpc.truncate import truncate
from common.party import Party
from common.rows.table import FeatureTable, Index


def demand_of(model: NetworkModel, telling: Telling, rows: int) -> NetworkScoreDemand:
    """What scoring so many rows by this model is dealt."""
    own, other = len(model.weights.own), len(model.weights.other)
    grid, bank = (own, other) if model.party is Party.GRID else (other, own)
    return NetworkScoreDemand(telling.number, rows, grid, bank, model.units, telling.bits, NAMES.index(model.activation))


@dataclass(repr=False)
class _Masks:
    """What masks the rows of a lot, once it is asked for. hide: (m, rows), of own columns."""

    hide: Words | None = None
    units: UnitMasks | None = None
    part: TruncationPart | None = None


class Scorer:
    """Scores tables of rows by one network, one after the other, within the rows of one demand.

    The weights are masked once, when it starts; each row has masks of its own, taken in order, whatever becomes of it. The
    other party must score tables of as many rows in the same order.
    """

    def __init__(self, seat: Seat, model: NetworkModel, demand: NetworkScoreDemand, point: Point, ahead: Weights) -> None:
        self._seat, self._model, self._demand, self._point, self._ahead = seat, model, demand, point, ahead
        self._lots = Lots[_Masks](demand.blocks(), demand.rows)

    @classmethod
    async def start(
        cls, session: Session, correlations: Correlations, model: NetworkModel, demand: NetworkScoreDemand
    ) -> Scorer:
        """Exchanges the masked shares of the other's block and of the output: one round, 8 units (m_other + 1) bytes."""
        seat = Seat(session, correlations, await correlations.source(demand))
        ahead = ahead_of(model.weights)
        return cls(seat, model, demand, await share_point(session, correlations, demand.key, ahead), ahead)

    async def warm(self) -> None:
        """Fetches and expands the masks of the first lot, which the first row would else wait for."""
        if (lot := self._lots.ahead()) is not None:
            lot.masks = _Masks(await asyncio.to_thread(self._hide, lot))
            lot.masks.units = await asyncio.to_thread(self._units, lot)
            await lot.masks.units.ready()
            lot.masks.part = await self._seat.correlations.truncation(lot.key, lot.rows)

    async def score(self, table: FeatureTable, *, at_once: bool = False) -> tuple[Words, int]:
        """This party's share of u at 2^-bits, (n,), rounded up or down at random; how many own values were held at X_LIMIT.

        at_once: no other table follows. PolicyError for more rows than are left. For each lot of rows

        1. exchange the masked rows, 8 m_own bytes a row; the units' sums are then local
        2. the units: one round of 4 bytes a unit and row, or with relu four of 16 7/8
        3. the truncation of u to 2^-bits, 8 bytes a row
        """
        out, held, session, demand = np.empty(table.rows, np.uint64), 0, self._seat.session, self._demand
        for piece in self._lots.take(table.rows):
            part = table.part(piece.rows.start, piece.rows.stop)
            u, beyond = await self._units_of(part, piece, spare=at_once)
            u += (self._ahead.intercept << np.uint64(demand.scales.output - AHEAD)) + _dither(self._model, part, demand.shift)
            masks = piece.lot.begun(_Masks)
            if masks.part is None:
                masks.part = await self._seat.correlations.truncation(piece.lot.key, piece.lot.rows)
            out[piece.rows] = await truncate(session, masks.part.at(piece.at), u, demand.shift)
            held += beyond
            if piece.last:
                piece.lot.masks = None  # all of it is used
            session.reporter.progress(piece.rows.stop, table.rows)
        return out, held

    def _hide(self, lot: Lot[_Masks]) -> Words:
        return self._seat.correlations.matrix_mask(lot.key, lot.rows, len(self._model.weights.own))

    def _units(self, lot: Lot[_Masks]) -> UnitMasks:
        return MASKS[self._demand.name](self._seat, lot.key, self._model.units, lot.rows, trained=False)

    async def _units_of(self, table: FeatureTable, piece: Piece[_Masks], *, spare: bool) -> tuple[Words, int]:
        """A share of u of the rows of one piece, without the output's intercept, and how many own values were held."""
        session, model, point, masks = self._seat.session, self._model, self._point, piece.lot.begun(_Masks)
        own, other, units = len(model.weights.own), len(model.weights.other), model.units

        def hide() -> tuple[Words, int, Words]:
            words, beyond = model.encoded(table)
            if masks.hide is None:
                masks.hide = self._hide(piece.lot)
            return words, beyond, words.T - masks.hide[:, piece.at]

        work = own * (piece.count if masks.hide is not None else piece.lot.rows)
        words, beyond, hidden = await session.compute(hide, work)
        theirs = await session.exchange(Kind.MASKED_MATRIX, hidden, shape=(other, table.rows))
        sums = await session.compute(
            lambda: forward_units(words, point.own) + forward_units(theirs.T, point.mask), table.rows * units * (own + other)
        )
        if masks.units is None:
            masks.units = self._units(piece.lot)
        look_up, scales = LOOK_UP[self._demand.name], self._demand.scales
        u, _ = await look_up(session, masks.units, piece.at, sums, point.output, scales, spare=spare)
        return u, beyond


class Scores:
    """Scores of tables of rows to the bank, one table after another, by one half of a network that nobody holds."""

    def __init__(self, session: Session, by: Scorer, telling: Telling) -> None:
        self._by, self._teller, self._bits = by, Teller(session, telling), telling.bits

    @classmethod
    async def begin(
        cls, session: Session, correlations: Correlations, model: NetworkModel, rows: int, telling: Telling
    ) -> Scores:
        """For at most so many rows in all, or as many as are dealt. One round."""
        demand = demand_of(model, telling, telling.dealt or rows)
        return cls(session, await Scorer.start(session, correlations, model, demand), telling)

    async def warm(self) -> None:
        """Does now what the first row would else wait for."""
        await self._by.warm()

    async def open(self, table: FeatureTable, *, at_once: bool = False) -> Reals | None:
        """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid, which sends the kind."""
        return await self._teller.tell(*await self._by.score(table, at_once=at_once), self._bits)

    async def ask(self, table: FeatureTable, at: Index, count: int) -> Later:
        """Rows that are asked for, of which nothing is sent before it is known which may be scored."""
        return Later(self, table, at)


async def open_scores(
    session: Session, correlations: Correlations, model: NetworkModel, table: FeatureTable, telling: Telling
) -> Reals | None:
    """As `Scores.open` tells them, of one table. PolicyError for more rows than there is randomness for."""
    scores = await Scores.begin(session, correlations, model, table.rows, telling)
    return await scores.open(table, at_once=True)


def _dither(model: NetworkModel, table: FeatureTable, shift: int) -> Words:
    if model.party is Party.BANK:
        return np.zeros(table.rows, np.uint64)
    return dither(model.weights.own.tobytes(), table.keys(slice(None)), shift)
