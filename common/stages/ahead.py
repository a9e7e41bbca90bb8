"""Training with randomness dealt ahead: both parties agree on one stock, spend it, fill what it has to spare with zeros.

PROTOCOL.md sections 6 and 10.
"""

from __future__ import annotations

import asyncio
from contextlib import closing

import numpy as np

from common.disk.scratch import Scratch
from common.errors import PeerProtocolError, PolicyError
from common.home.stock import StockFile, StockLabel, StoredArrays, dealing
from common.home.stocks import MOST, Stocks, inventory
from common.learn.learner import Size, Task, Trained
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Kind, Session
from common.plan.section import Section

MOST_ROWS, MOST_COLUMNS = 1.25, 2.0  # of a stock, for each that there is: zeros cost bytes and time as data does


async def train_ahead(
    session: Session, stocks: Stocks, section: Section, task: Task, scratch: Scratch | None = None
) -> Trained:
    """Trains as `task.train` does, with a stock that both parties hold. Raises PolicyError if none fits."""
    stock = await _take(session, stocks, section, task.size)
    with closing(stock):
        correlations = DealtCorrelations(session.party, stock.seed, StoredArrays(stock, session.party, section))
        return await task.filled(stock.label.size).train(session, correlations, scratch)


async def _take(session: Session, stocks: Stocks, section: Section, size: Size) -> StockFile:
    """The stock both use, spent at both.

    1. exchange the list of what each holds; what only one holds is discarded
    2. both choose the smallest that fits, and say so: both have discarded by then
    3. both spend it, and say so
    """
    held = await asyncio.to_thread(stocks.unspent)
    common = await _held_by_both(session, stocks, held)
    chosen = choose(common, dealing(section), size)
    await confirm_stock(session, chosen)
    if chosen is None:
        raise _none_fits(common, section, size)
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


def choose(labels: list[StockLabel], deals: str, size: Size) -> StockLabel | None:
    """The stock with fewest cells of those that serve a training of this size; the same at both parties."""

    def fits(label: StockLabel) -> bool:
        columns = ((size.grid_columns, label.grid_columns), (size.bank_columns, label.bank_columns))
        return (
            label.dealing == deals
            and size.rows <= label.rows <= MOST_ROWS * size.rows
            and all(needed <= dealt <= MOST_COLUMNS * needed for needed, dealt in columns)
        )

    def cost(label: StockLabel) -> tuple[int, str]:
        return label.rows * (label.grid_columns + label.bank_columns), label.name

    return min(filter(fits, labels), key=cost, default=None)


def _none_fits(common: list[StockLabel], section: Section, size: Size) -> PolicyError:
    others = sum(label.dealing != dealing(section) for label in common)
    needed = f"{size.rows} training rows x ({size.grid_columns} + {size.bank_columns}) columns"
    options = f"--rows {size.rows} --grid {size.grid_columns} --bank {size.bank_columns}"
    return PolicyError(
        f"no stock that both parties hold fits {needed}: {inventory(common)}, {others} for other models",
        expected=f"rows from 1 to {MOST_ROWS} times, columns from 1 to {MOST_COLUMNS:.0f} times as many",
        remedy=f"Deal one: `wattscore predeal PLAN {options}`, or train with dealt = 'online'.",
    )


async def confirm_stock(session: Session, label: StockLabel | None) -> None:
    """One round: both have come as far with the same stock, or with none. Raises PeerProtocolError when they have not."""
    mine = np.zeros(2, np.uint64) if label is None else label.digest()
    theirs = await session.exchange(Kind.STOCK, mine)
    if not np.array_equal(mine, theirs):
        raise PeerProtocolError("the other party is at another stock", remedy="Both sides must run the same version and plan.")
