"""Training and scoring with randomness dealt ahead: both parties agree on one stock, and spend it before it masks anything.

PROTOCOL.md sections 6 and 10.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.disk.scratch import Scratch
from common.errors import DataError, LocalProtocolError, PeerProtocolError, PolicyError
from common.home.stock import BETWEEN, StockFile, StockLabel, StoredArrays, dealing
from common.home.stocks import MOST, Stocks, inventory
from common.learn.dealt_ahead import Ahead
from common.learn.diary import Diary
from common.learn.learner import Drawing, Half, Size, Task, Trained, train
from common.learn.learners import learner_of, named, scores_dealt
from common.mpc.beside import to_the_end
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer
from common.mpc.fixedpoint import Words
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
_LOOKS, _BETWEEN = 20, 0.05  # at a stock that the bank names and another job has, seconds apart: it may be giving that back
_SAME = "Both sides must run the same release and plan."
_BY_COLUMNS = ("--grid {0} --bank {1}", "({0} + {1}) columns")


Otherwise = Callable[[], Correlations]


@dataclass(frozen=True)
class Wants:
    """What a job wants of a stock. deals: as of `dealing`; size: that it serves, with so much to spare.

    told: options that deal one, and what it is for, of the size and beside its rows. reasons: as of `scores_ahead`.
    """

    deals: str
    size: Size
    spare: Spare
    told: tuple[str, str] = _BY_COLUMNS
    reasons: int = 0

    def digest(self) -> Words:
        """Two words by which the parties compare what is dealt for it by their releases."""
        told = hashlib.blake2b(self.deals.encode(), digest_size=16, person=b"wattscore.deals")
        return np.frombuffer(told.digest(), np.uint64)


async def train_ahead(
    session: Session,
    stocks: Stocks,
    key: bytes,
    section: Section,
    size: Size,
    making: Awaitable[Task],
    scratch: Scratch | None = None,
    diary: Diary | None = None,
    otherwise: Otherwise | None = None,
) -> Trained:
    """Trains as `task.train` does, with a stock that both parties hold: dealt, or made by them; key: this party's lasting one.

    making: the task, of this size, which is made while a stock is agreed on, and before it is spent. otherwise: gives what it
    trains with where other jobs have all that fit. Raises PolicyError if none fits, or without `otherwise` none is left.
    """
    ahead, making = learner_of(section).ahead, asyncio.ensure_future(making)
    if section.undealt:
        await _leave_out(stocks, await made_by(session, key))

    async def made() -> None:
        if (there := (await making).size) != size:
            raise LocalProtocolError("a stock was taken for a training of another size", expected=size, got=there)

    with ExitStack() as open_:
        wants = Wants(dealing(ahead(section, size)), size, TRAINING)
        taken = await _take(session, stocks, wants, otherwise is not None, made)
        task = await making
        if taken is None:
            assert otherwise is not None  # noqa: S101
            return await train(task, session, otherwise(), scratch, diary)
        stock = open_.enter_context(closing(taken))
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
    otherwise: Otherwise | None = None,
) -> AsyncIterator[tuple[Correlations, StockLabel | None]]:
    """What scoring so many rows by a closed model consumes, from a stock that both hold, and that one's label.

    reasons: one that was dealt for reasons of so many texts of the grid's comes first; of none, one that was dealt for none.
    otherwise: gives what takes the place of one, with no label, where other jobs have all that fit. Raises PolicyError if none
    fits, or without `otherwise` none is left.
    """
    learner = named(model.learner)
    size, ahead = learner.scored(model, rows), partial(learner.ahead_scores, learner.scored_by(model))
    like = (f"--like {model.job}", "its trees ({0} of depth {1})") if learner.scored_by(model).scored else _BY_COLUMNS
    section, wants = learner.scored_by(model), Wants(dealing(ahead(size, bits)), size, spare, like, reasons)
    stock = await _take(session, stocks, wants, otherwise is not None)
    if stock is None:
        assert otherwise is not None  # noqa: S101
        yield otherwise(), None
        return
    with closing(stock):
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
    session: Session, stocks: Stocks, wants: Wants, may_lack: bool, ready: Callable[[], Awaitable[None]] | None = None
) -> StockFile | None:
    """The stock both use, spent at both; None where other jobs have all that fit, and `may_lack`.

    1. exchange what each deals for this, and the list of what each holds; what only one holds, and was not dealt just now, is
       discarded
    2. the bank names the smallest that both hold, that fits and that no other job has there; both keep it from others
    3. each is ready for all that follows, and says whether it has that stock: where one has not, 2 again with the next
    4. both spend it, and say so: nothing that it masks leaves before the other has spent it too. Else one that ends here would
       hold it still, and a party that is restored to an earlier day would find it in both lists

    What happens until 4 costs no stock: it is given back, also where a process ends.
    """
    held = await asyncio.to_thread(stocks.unspent)
    common = await _held_by_both(session, stocks, wants, held[:MOST])  # as many as are told: of others nothing is known there
    left: Sequence[StockLabel] = fitting(common, wants.deals, wants.size, wants.spare, wants.reasons)
    if not left:
        await confirm_stock(session, None)  # so that neither ends the job while the other is discarding
        raise _none_fits(common, wants)
    fit = len(left)
    while True:
        label, stock, left = await _reserved(session, stocks, left)
        try:
            if ready is not None:
                await ready()
            if await _have(session, label, stock is not None) and stock is not None:
                await to_the_end(asyncio.to_thread(stocks.use, stock))
                await confirm_stock(session, label)
                return stock
        except BaseException:
            _close(stock)
            raise
        _close(stock)
        if label is None:
            if may_lack:
                return None
            raise PolicyError(
                f"other jobs have all stocks that fit: {fit} of {inventory(common)}",
                remedy="Submit it again once they are over, or deal another.",
            )


def _close(stock: StockFile | None) -> None:
    if stock is not None:
        stock.close()


async def _reserved(
    session: Session, stocks: Stocks, left: Sequence[StockLabel]
) -> tuple[StockLabel | None, StockFile | None, Sequence[StockLabel]]:
    """The stock that the bank names, which this party has from now on if it can, and those that come after it.

    None is named where other jobs of the bank have all.
    """
    if session.party is Party.BANK:
        for place, label in enumerate(left):
            if (stock := await _reserve(stocks, label)) is not None:
                try:
                    await session.send(Kind.STOCK, label.digest())
                except BaseException:
                    stock.close()
                    raise
                return label, stock, left[place + 1 :]
        await session.send(Kind.STOCK, np.zeros(2, np.uint64))
        return None, None, ()
    said = bytes(await session.receive(Kind.STOCK, np.uint64, (2,)))
    if said == _NONE:
        return None, None, ()
    known = {bytes(label.digest()): place for place, label in enumerate(left)}
    if said not in known:
        raise PeerProtocolError("the bank names a stock that does not fit", remedy=_SAME)
    place = known[said]
    for _ in range(_LOOKS):
        if (stock := await _reserve(stocks, left[place])) is not None:
            break
        await asyncio.sleep(_BETWEEN)
    return left[place], stock, left[place + 1 :]


async def _reserve(stocks: Stocks, label: StockLabel) -> StockFile | None:
    """None for one that another job has, or that is gone since it was listed."""
    reserving = asyncio.ensure_future(asyncio.to_thread(stocks.reserve, label))
    try:
        return await asyncio.shield(reserving)
    except (PolicyError, DataError):
        return None
    except asyncio.CancelledError:
        reserving.add_done_callback(_give_back)
        raise


def _give_back(reserving: asyncio.Future[StockFile | None]) -> None:
    if not reserving.cancelled() and reserving.exception() is None:
        _close(reserving.result())


async def _have(session: Session, label: StockLabel | None, has: bool) -> bool:
    """One round: whether both have this stock. Raises PeerProtocolError where the other speaks of another."""
    none, mine = np.zeros(2, np.uint64), np.zeros(2, np.uint64) if label is None else label.digest()
    theirs = await session.exchange(Kind.STOCK, mine if has else none)
    if not np.array_equal(theirs, none) and not np.array_equal(theirs, mine):
        raise _unlike()
    return has and np.array_equal(theirs, mine)


async def _held_by_both(session: Session, stocks: Stocks, wants: Wants, held: list[StockLabel]) -> list[StockLabel]:
    mine = np.zeros((MOST + 1, 2), np.uint64)
    mine[0] = wants.digest()
    for row, label in zip(mine[1:], held, strict=False):
        row[:] = label.digest()
    said = await session.exchange(Kind.STOCK, mine)
    if not np.array_equal(said[0], mine[0]):
        raise PeerProtocolError("the other party's release deals otherwise for this plan", remedy=_SAME)
    theirs = {bytes(row) for row in said[1:]}
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


def _none_fits(common: list[StockLabel], wants: Wants) -> PolicyError:
    size, spare = wants.size, wants.spare
    others = sum(label.dealing != wants.deals for label in common)
    options, needed = (text.format(size.grid_columns, size.bank_columns) for text in wants.told)
    options, needed = f"--rows {size.rows} {options}", f"{size.rows} rows x {needed}"
    return PolicyError(
        f"no stock that both parties hold fits {needed}: {inventory(common)}, {others} for other uses",
        expected=f"rows from 1 to {spare.rows:g} times, columns from 1 to {spare.columns:g} times as many",
        remedy=f"Deal one: {spare.remedy.format(options=options)} with dealt = 'online'.",
    )


async def confirm_stock(session: Session, label: StockLabel | None) -> None:
    """One round: both have come as far with the same stock, or with none. Raises PeerProtocolError when they have not."""
    if not await _have(session, label, label is not None) and label is not None:
        raise _unlike()


def _unlike() -> PeerProtocolError:
    return PeerProtocolError("the other party is at another stock", remedy=_SAME)
