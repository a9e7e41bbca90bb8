"""Training with randomness dealt ahead: both parties agree on one stock, spend it, fill what it has to spare with zeros.

PROTOCOL.md sections 6 and 10.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace

import numpy as np

from common.disk.scratch import Scratch
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.home.stock import StockFile, StockLabel, StoredArrays, dealing
from common.home.stocks import MOST, Stocks, inventory
from common.learn.linear.ahead import Widened
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.steps import make_work
from common.learn.linear.train import Shares, TrainingInputs, train
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind, Session
from common.plan.linear import Model

MOST_ROWS, MOST_COLUMNS = 1.25, 2.0  # of a stock, for each that there is: zeros cost bytes and time as data does


async def train_ahead(
    session: Session, stocks: Stocks, inputs: TrainingInputs, scratch: Scratch | None = None
) -> Reals | Shares:
    """Trains as `train` does, with a stock that both parties hold. Raises PolicyError if none fits."""
    columns, model = inputs.own.shape[1], inputs.model
    stock = await _take(session, stocks, model, inputs.demand(session.party))
    with closing(stock):
        work = make_work(model, stock.label.demand)
        correlations = DealtCorrelations(session.party, stock.seed, StoredArrays(stock, session.party, work))
        wide = _widened(inputs, stock.label.rows, work.columns[session.party], work.columns[session.party.other])
        found = await train(session, correlations, wide, scratch)
    if isinstance(found, Shares):
        return Shares(found.own[:columns], found.other[: inputs.other_columns])
    if found[columns:].any():
        raise LocalProtocolError("a column of zeros was given a weight")
    return found[:columns]


def _widened(inputs: TrainingInputs, rows: int, columns: int, other_columns: int) -> TrainingInputs:
    """The same with zeros up to these rows and columns."""
    data_rows, spare = inputs.own.shape[0], columns - inputs.own.shape[1]
    return replace(
        inputs,
        own=Widened(inputs.own, rows, columns),
        own_ridge=np.asfortranarray(np.pad(inputs.own_ridge, (0, spare))),
        other_columns=other_columns,
        start=np.pad(inputs.start, (0, spare)),
        label=None if inputs.label is None else np.pad(inputs.label, (0, rows - data_rows)),
        data_rows=data_rows,
    )


async def _take(session: Session, stocks: Stocks, model: Model, demand: TrainingDemand) -> StockFile:
    """The stock both use, spent at both.

    1. exchange the list of what each holds; what only one holds is discarded
    2. both choose the smallest that fits, and say so: both have discarded by then
    3. both spend it, and say so
    """
    held = await asyncio.to_thread(stocks.unspent)
    common = await _held_by_both(session, stocks, held)
    chosen = choose(common, dealing(model), demand)
    await confirm_stock(session, chosen)
    if chosen is None:
        raise _none_fits(common, model, demand)
    stock = await asyncio.to_thread(stocks.spend, chosen)
    try:
        await confirm_stock(session, chosen)
    except BaseException:
        stock.close()
        raise
    return stock


async def _held_by_both(session: Session, stocks: Stocks, held: list[StockLabel]) -> list[StockLabel]:
    mine = np.zeros((MOST, 2), np.uint64)
    for row, label in zip(mine, held[:MOST], strict=False):
        row[:] = label.digest()
    theirs = {bytes(row) for row in await session.exchange(Kind.STOCK, mine)}
    for label in held:
        if bytes(label.digest()) not in theirs:
            await asyncio.to_thread(stocks.discard, label)
    return [label for label in held if bytes(label.digest()) in theirs]


def choose(labels: list[StockLabel], deals: str, demand: TrainingDemand) -> StockLabel | None:
    """The stock with fewest cells of those that serve a training of this size; the same at both parties."""

    def fits(label: StockLabel) -> bool:
        columns = ((demand.grid_columns, label.grid_columns), (demand.bank_columns, label.bank_columns))
        return (
            label.dealing == deals
            and demand.rows <= label.rows <= MOST_ROWS * demand.rows
            and all(needed <= dealt <= MOST_COLUMNS * needed for needed, dealt in columns)
        )

    def cost(label: StockLabel) -> tuple[int, str]:
        return label.rows * (label.grid_columns + label.bank_columns), label.name

    return min(filter(fits, labels), key=cost, default=None)


def _none_fits(common: list[StockLabel], model: Model, demand: TrainingDemand) -> PolicyError:
    others = sum(label.dealing != dealing(model) for label in common)
    size = f"{demand.rows} training rows x ({demand.grid_columns} + {demand.bank_columns}) columns"
    options = f"--rows {demand.rows} --grid {demand.grid_columns} --bank {demand.bank_columns}"
    return PolicyError(
        f"no stock that both parties hold fits {size}: {inventory(common)}, {others} for other models",
        expected=f"rows from 1 to {MOST_ROWS} times, columns from 1 to {MOST_COLUMNS:.0f} times as many",
        remedy=f"Deal one: `wattscore predeal PLAN {options}`, or train with dealt = 'online'.",
    )


async def confirm_stock(session: Session, label: StockLabel | None) -> None:
    """One round: both have come as far with the same stock, or with none. Raises PeerProtocolError when they have not."""
    mine = np.zeros(2, np.uint64) if label is None else label.digest()
    theirs = await session.exchange(Kind.STOCK, mine)
    if not np.array_equal(mine, theirs):
        raise PeerProtocolError("the other party is at another stock", remedy="Both sides must run the same version and plan.")
