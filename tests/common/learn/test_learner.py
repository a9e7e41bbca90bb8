"""A second learner, living here alone: it trains through both parties and the dealer with a demand and a dealing of its own.

It learns the direction between the means of both classes, X^T (y - mean y), as shares: one masked matrix, one masked vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.learn.dealings import TABLE, Dealing, dealings
from common.mpc.correlations import DealtCorrelations, take_dealt
from common.mpc.dealer import Dealt, Prgs
from common.mpc.fixedpoint import X_SCALE, Words, decode, encode
from common.mpc.prg import Purpose
from common.mpc.product import backward
from common.mpc.session import Kind, Round, Session
from common.party import Party
from common.plan.train import TrainPlan
from tests.peers import Trio, coordinate

ROWS, COLUMNS = 120, 4
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, COLUMNS))
Y = (RNG.random(ROWS) < 0.3).astype(np.float64)
PLAN = TrainPlan.model_validate({"grid": {"dataset": "g"}, "bank": {"dataset": "b"}})


@dataclass(frozen=True)
class MeansDemand:
    rows: int
    columns: int


def deal_means(prg: Prgs, demand: MeansDemand) -> Iterator[Dealt]:
    """The bank's share of mask times mask; the grid expands its own."""
    matrix = prg[Party.GRID].words(Purpose.MATRIX, 0, demand.columns * demand.rows).reshape(demand.columns, demand.rows).T
    lacking = backward(matrix, prg[Party.BANK].words(Purpose.RESIDUAL, 0, demand.rows))
    own = prg[Party.GRID].words(Purpose.GRADIENT, 0, demand.columns)
    yield [(Party.BANK, Round(Kind.DEALT_GRADIENT, 0), lacking - own)]


ROW = Dealing("means", MeansDemand, lambda prg, demand, plan, memory: deal_means(prg, demand))


async def train(session: Session, correlations: DealtCorrelations) -> Words:
    """This party's share of X^T r at 2 X_SCALE, (columns,)."""
    await correlations.order(MeansDemand(ROWS, COLUMNS))
    if session.party is Party.GRID:
        words = np.asfortranarray(encode(X, X_SCALE))
        await session.send(Kind.MASKED_MATRIX, words.T - correlations.matrix_mask(0, ROWS, COLUMNS))
        received = await session.receive(Kind.MASKED_RESIDUAL, np.uint64, (ROWS,))
        own: Words = correlations._prg.words(Purpose.GRADIENT, 0, COLUMNS)
        return backward(words, received) + own
    masked = await session.receive(Kind.MASKED_MATRIX, np.uint64, (COLUMNS, ROWS))
    residual, hide = encode(Y - Y.mean(), X_SCALE), correlations.residual_mask(0, ROWS)
    await session.send(Kind.MASKED_RESIDUAL, residual - hide)
    dealt = await take_dealt(correlations._dealer, Round(Kind.DEALT_GRADIENT, 0), (COLUMNS,))
    return backward(np.asfortranarray(masked.T), hide) + dealt


async def test_a_learner_of_its_own_trains_with_one_row_more() -> None:
    more = dealings(PLAN, 1 << 20, (*TABLE, ROW))
    shares = await coordinate(Trio(), train, more=more)
    found = decode(shares[Party.GRID] + shares[Party.BANK], 2 * X_SCALE)
    np.testing.assert_allclose(found, X.T @ (Y - Y.mean()), atol=ROWS * 2.0**-X_SCALE)
    assert np.abs(decode(shares[Party.GRID], 2 * X_SCALE)).max() > 1e6  # a share by itself says nothing


async def test_without_its_row_the_dealer_deals_nothing_for_it() -> None:
    with pytest.raises(PeerProtocolError, match="what this job does not consume"):
        await coordinate(Trio(), train, more=dealings(PLAN, 1 << 20))


def test_rows_of_the_table_are_told_apart_by_message_and_by_demand() -> None:
    for column in ("message", "demand"):
        assert len({getattr(row, column) for row in (*TABLE, ROW)}) == len(TABLE) + 1
    assert replace(ROW, message="other").demand is MeansDemand
