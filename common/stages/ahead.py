"""Training and scoring with randomness dealt ahead: both parties agree on one stock, and spend it.

PROTOCOL.md sections 6 and 10.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.disk.scratch import Scratch
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.home.stock import BETWEEN, StockFile, StockLabel, StoredArrays, dealing
from common.home.stocks import MOST, Stocks, inventory
from common.learn.dealt_ahead import Ahead
from common.learn.diary import Diary
from common.learn.learner import Drawing, Half, Size, Task, Trained, train
from common.learn.learners import learner_of, named, scores_dealt
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer
from common.mpc.prg import mark
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.section import Section


@dataclass(frozen=True)
class Spare:
    """How many times more rows and columns than needed a stock may have, and how to ask for one that fits."""

    rows: float
    columns: float
    remedy: str


TRAINING = Spare(1.25, 2.0, "`wattscore predeal PLAN {options}`, or train")  # zeros cost bytes and time as data does
ASKED = Spare(math.inf, 1.0, "`wattscore predeal --scores {options}`, or score matched rows")  # as many as will come
SCORES = Spare(4.0, 1.0, "`wattscore predeal --scores {options}`, or score")  # rows to spare cost disk alone
_NONE = bytes(16)  # in a list in place of a stock
_BY_COLUMNS = ("--grid {0} --bank {1}", "({0} + {1}) columns")


async def train_ahead(
    session: Session,
    stocks: Stocks,
    key: bytes,
    section: Section,
    size: Size,
    making: Awaitable[Task],
    scratch: Scratch | None = None,
    diary: Diary | None = None,
) -> Trained:
    """Trains as `task.train` does, with a stock that both parties hold: dealt, or made by them; key: this party's lasting one.

    making: the task, of this size, which is made while the stock is agreed on and spent. Raises PolicyError if none fits.
    """
    ahead = learner_of(section).ahead
    if section.undealt:
        await _leave_out(stocks, await made_by(session, key))
    with closing(await _take(session, stocks, dealing(ahead(section, size)), size, TRAINING)) as stock:
        task = await making
        if task.size != size:
            raise LocalProtocolError("a stock was taken for a training of another size", expected=size, got=task.size)
        if isinstance(task, Drawing) and section.undealt:
            there = ahead(section, stock.label.size)
            stored = StoredArrays(stock, session.party, there)
            await stored.demand(there.demand)
            drawn = task.drawing(stock.seed, stored, stock.label.size)
            return await train(drawn, session, DealtCorrelations(session.party, stock.seed, NoDealer()), scratch, diary)
        correlations = _stored(session, stock, key, ahead(section, stock.label.size))
        return await train(task.filled(stock.label.size), session, correlations, scratch, diary)


@asynccontextmanager
async def scores_ahead(
    session: Session,
    stocks: Stocks,
    key: bytes,
    model: Half,
    rows: int,
    bits: int,
    spare: Spare = SCORES,
    *,
    reasons: int = 0,
) -> AsyncIterator[tuple[Correlations, StockLabel]]:
    """What scoring so many rows by a closed model consumes, from a stock that both hold, and that one's label.

    reasons: one that was dealt for reasons of so many texts of the grid's comes first; of none, one that was dealt for none.
    Raises PolicyError if none fits.
    """
    learner = named(model.learner)
    size, ahead = learner.scored(model, rows), partial(learner.ahead_scores, learner.scored_by(model))
    like = (f"--like {model.job}", "its trees ({0} of depth {1})") if learner.scored_by(model).scored else _BY_COLUMNS
    section, taking = learner.scored_by(model), _take(session, stocks, dealing(ahead(size, bits)), size, spare, like, reasons)
    with closing(await taking) as stock:
        dealt = scores_dealt(model.learner, section, stock.label.size, bits, stock.label.reasons)
        yield _stored(session, stock, key, dealt), stock.label


def usable(stocks: Stocks, model: Half, rows: int, bits: int, *, reasons: int = 0) -> list[StockLabel]:
    """The stocks on this party's disk that serve at least so many rows by this closed model, in the order they are taken in."""
    learner = named(model.learner)
    size, ahead = learner.scored(model, rows), partial(learner.ahead_scores, learner.scored_by(model))
    return fitting([held.label for held in stocks.held()], dealing(ahead(size, bits)), size, ASKED, reasons)


async def made_by(session: Session, key: bytes) -> str:
    """Who makes a stock, as its label says it: a hash of both parties' lasting keys, of which each tells a mark."""
    mine = np.frombuffer(mark(key), np.uint64)
    marks = {session.party: mine, session.party.other: await session.exchange(Kind.STOCK, mine)}
    both = b"".join(marks[party].tobytes() for party in Party)
    return BETWEEN + hashlib.blake2b(both, digest_size=16, person=b"wattscore.made").hexdigest()


async def _leave_out(stocks: Stocks, maker: str) -> None:
    """Spends those that these two have made while either had another key."""
    for label in await asyncio.to_thread(stocks.unspent):
        if label.made and label.dealer != maker:
            await asyncio.to_thread(stocks.drop, label)


def _stored(session: Session, stock: StockFile, key: bytes, ahead: Ahead) -> Correlations:
    return DealtCorrelations(session.party, stock.seed, StoredArrays(stock, session.party, ahead), key)


async def _take(
    session: Session,
    stocks: Stocks,
    deals: str,
    size: Size,
    spare: Spare,
    told: tuple[str, str] = _BY_COLUMNS,
    reasons: int = 0,
) -> StockFile:
    """The stock both use, spent at both. told: options that deal one, and what it is for, of the size and beside its rows.

    1. exchange the list of what each holds; what only one holds, and was not dealt just now, is discarded
    2. both choose the smallest that both hold and that fits: the same, as both have both lists
    3. both spend it, and say so: nothing that it masks leaves before
    """
    held = await asyncio.to_thread(stocks.unspent)
    common = await _held_by_both(session, stocks, held[:MOST])  # as many as are told: of others the other party cannot know
    chosen = choose(common, deals, size, spare, reasons)
    if chosen is None:
        await confirm_stock(session, None)  # so that neither ends the job while the other is discarding
        raise _none_fits(common, deals, size, spare, told)
    stock = await asyncio.to_thread(stocks.take, chosen)
    try:
        await confirm_stock(session, chosen)
    except BaseException:
        stock.close()
        raise
    return stock


async def _held_by_both(session: Session, stocks: Stocks, held: list[StockLabel]) -> list[StockLabel]:
    mine = np.zeros((MOST, 2), np.uint64)
    for row, label in zip(mine, held, strict=False):
        row[:] = label.digest()
    theirs = {bytes(row) for row in await session.exchange(Kind.STOCK, mine)}
    whole = _NONE in theirs  # a full list may leave out what the other holds
    for label in held:
        if whole and bytes(label.digest()) not in theirs and await asyncio.to_thread(stocks.is_settled, label):
            await asyncio.to_thread(stocks.discard, label)
    return [label for label in held if bytes(label.digest()) in theirs]


def choose(labels: list[StockLabel], deals: str, size: Size, spare: Spare = TRAINING, reasons: int = 0) -> StockLabel | None:
    """The stock with fewest cells of those that serve so many rows and columns; the same at both parties."""
    return next(iter(fitting(labels, deals, size, spare, reasons)), None)


def fitting(labels: list[StockLabel], deals: str, size: Size, spare: Spare, reasons: int = 0) -> list[StockLabel]:
    """The stocks that serve so many rows and columns, those with fewest cells first.

    Of those for scores the ones come before all others that were dealt for reasons of so many texts of the grid's, or for none.
    """

    def fits(label: StockLabel) -> bool:
        columns = ((size.grid_columns, label.grid_columns), (size.bank_columns, label.bank_columns))
        return (
            label.dealing == deals
            and size.rows <= label.rows <= spare.rows * size.rows
            and all(needed <= dealt <= spare.columns * needed for needed, dealt in columns)
        )

    def cost(label: StockLabel) -> tuple[bool, int, str]:
        late = label.reasons < reasons if reasons else label.reasons > 0
        return late, label.rows * (label.grid_columns + label.bank_columns), label.name

    return sorted(filter(fits, labels), key=cost)


def _none_fits(common: list[StockLabel], deals: str, size: Size, spare: Spare, told: tuple[str, str]) -> PolicyError:
    others = sum(label.dealing != deals for label in common)
    options, needed = (text.format(size.grid_columns, size.bank_columns) for text in told)
    options, needed = f"--rows {size.rows} {options}", f"{size.rows} rows x {needed}"
    return PolicyError(
        f"no stock that both parties hold fits {needed}: {inventory(common)}, {others} for other uses",
        expected=f"rows from 1 to {spare.rows:g} times, columns from 1 to {spare.columns:g} times as many",
        remedy=f"Deal one: {spare.remedy.format(options=options)} with dealt = 'online'.",
    )


async def confirm_stock(session: Session, label: StockLabel | None) -> None:
    """One round: both have come as far with the same stock, or with none. Raises PeerProtocolError when they have not."""
    mine = np.zeros(2, np.uint64) if label is None else label.digest()
    theirs = await session.exchange(Kind.STOCK, mine)
    if not np.array_equal(mine, theirs):
        raise PeerProtocolError("the other party is at another stock", remedy="Both sides must run the same version and plan.")
