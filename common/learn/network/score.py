"""Scores of rows by a network that nobody holds: three messages a block of rows, and one share at the end. Section 15."""

from __future__ import annotations

import numpy as np

from common.errors import PolicyError
from common.learn.dither import dither
from common.learn.learner import Telling
from common.learn.network.activations import FORWARD, NAMES
from common.learn.network.deal import NetworkScoreDemand
from common.learn.network.descent import Point, ahead_of, share_point
from common.learn.network.half import NetworkModel
from common.learn.network.scales import AHEAD
from common.learn.network.units import Seat
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals, Words, decode
from common.mpc.product import forward_units
from common.mpc.session import Kind, Session
from common.mpc.truncate import truncate
from common.party import Party
from common.rows.table import FeatureTable


def demand_of(model: NetworkModel, telling: Telling, rows: int) -> NetworkScoreDemand:
    """What scoring so many rows by this model is dealt."""
    own, other = len(model.weights.own), len(model.weights.other)
    grid, bank = (own, other) if model.party is Party.GRID else (other, own)
    return NetworkScoreDemand(telling.number, rows, grid, bank, model.units, telling.bits, NAMES.index(model.activation))


async def open_scores(
    session: Session, correlations: Correlations, model: NetworkModel, table: FeatureTable, telling: Telling
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid, which sends the kind.

    PolicyError for more rows than there is randomness for.
    """
    share, held = await score_shares(session, correlations, model, table, telling)
    if held:
        session.reporter.warn(f"{held} values of the {session.party.value} lay beyond what scoring holds, and were held there")
    if session.party is Party.GRID:
        await session.send(telling.kind, share)
        return None
    return decode(share + await session.receive(telling.kind, np.uint64, (table.rows,)), telling.bits)


async def score_shares(
    session: Session, correlations: Correlations, model: NetworkModel, table: FeatureTable, telling: Telling
) -> tuple[Words, int]:
    """This party's share of u at 2^-bits, (n,), rounded up or down at random; how many own values were held at X_LIMIT.

    1. once, exchange the masked shares of the other's block and of the output: 8 units (m_other + 1) bytes
    2. for each block of rows, exchange the masked rows, 8 m_own bytes a row; the units' sums are then local
    3. the units: one round of 4 bytes a unit and row, or with relu four of 16 7/8
    4. the truncation of u to 2^-bits, 8 bytes a row
    """
    demand = demand_of(model, telling, telling.dealt or table.rows)
    if table.rows > demand.rows:
        message = f"{table.rows} rows are to be scored, and randomness is left for {demand.rows}"
        raise PolicyError(message, remedy="Deal more ahead: `wattscore predeal`.")
    seat = Seat(session, correlations, await correlations.source(demand))
    ahead = ahead_of(model.weights)
    point = await share_point(session, correlations, demand.key, ahead)
    out, held = np.empty(table.rows, np.uint64), 0
    for key, rows in demand.blocks():
        if rows.start >= table.rows:
            break
        part = table.part(rows.start, min(rows.stop, table.rows))
        u, beyond = await _block(seat, demand, model, part, point, key, rows.stop - rows.start)
        u += (ahead.intercept << np.uint64(demand.scales.output - AHEAD)) + _dither(model, part, demand.shift)
        full = await correlations.truncation(key, rows.stop - rows.start)
        out[rows.start : rows.start + part.rows] = await truncate(session, full.at(slice(0, part.rows)), u, demand.shift)
        held += beyond
        session.reporter.progress(rows.start + part.rows, table.rows)
    return out, held


async def _block(
    seat: Seat, demand: NetworkScoreDemand, model: NetworkModel, table: FeatureTable, point: Point, key: int, dealt: int
) -> tuple[Words, int]:
    """A share of u of the rows of one block, for which `dealt` rows were dealt, and how many own values were held."""
    session, correlations = seat.session, seat.correlations
    own, other, units = model.weights.own.shape[0], model.weights.other.shape[0], model.units

    def hide() -> tuple[Words, int, Words]:
        words, beyond = model.encoded(table)
        mask = correlations.matrix_mask(key, dealt, own)[:, : table.rows]
        return words, beyond, words.T - mask

    words, beyond, hidden = await session.compute(hide, dealt * own)
    theirs = await session.exchange(Kind.MASKED_MATRIX, hidden, shape=(other, table.rows))
    sums = await session.compute(
        lambda: forward_units(words, point.own) + forward_units(theirs.T, point.mask), table.rows * units * (own + other)
    )
    forward = FORWARD[demand.name]
    u, _ = await forward(seat, key, sums, point.output, demand.scales, trained=False, dealt=dealt)
    return u, beyond


def _dither(model: NetworkModel, table: FeatureTable, shift: int) -> Words:
    if model.party is Party.BANK:
        return np.zeros(table.rows, np.uint64)
    return dither(model.weights.own.tobytes(), table.keys(slice(None)), shift)
