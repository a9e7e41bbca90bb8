"""A predealing job at one party: what one training, or scoring, will consume comes into a stock.

From the dealer, or, of a training that nobody deals for, made with the other party.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from common.errors import DataError, LocalProtocolError
from common.home.outcome import Outcome
from common.home.stock import StockWriter
from common.home.stocks import Stocks, predealt
from common.learn.dealt_ahead import Ahead
from common.learn.learner import MakesAhead, Size
from common.learn.learners import learner_of
from common.mpc.correlations.asked import DealerLink
from common.mpc.correlations.dealt import take_dealt
from common.mpc.session import Array, Round, Session
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.predeal import PredealPlan
from common.stages.ahead import confirm_stock, made_by
from common.stages.job import StageReporter


async def predeal(
    job: str,
    plan: PredealPlan,
    session: Session,
    dealer: DealerLink | None,
    seed: bytes,
    stocks: Stocks,
    reporter: StageReporter,
    key: bytes,
    keep: Callable[[], None] = lambda: None,
) -> Outcome:
    """Both parties hold the stock at the end, or neither uses it: one that only one of them holds is never chosen.

    1. order, if it is dealt; write each array as it comes   2. all on disk: say so   3. give it its name: say so
    Of one that both make, what both have sent and taken is compared before 2.
    dealer: None where they make it themselves. key: this party's lasting one. keep: keeps what was dealt, before 2.
    Raises PolicyError when there is no room, DataError when the disk fails.
    """
    reporter.stage(Stage.PREDEAL)
    reporter.rows(plan.rows)
    start = time.monotonic()
    stocks.check(plan, session.party)
    try:
        maker = "" if dealer is not None else await made_by(session, key)
        with stocks.create(job, plan, seed, maker) as writer:
            await _fill(plan, session, dealer, seed, writer)
            if dealer is None:  # a training that takes it compares no word of this job's
                await session.compare()
            await asyncio.to_thread(keep)
            await confirm_stock(session, writer.label)
            await asyncio.to_thread(writer.commit)
    except OSError as error:
        public = f"the stock could not be written ({error.strerror})"
        raise DataError(f"{public}: {error.filename}", public=public, remedy="See to the disk of the data folder.") from None
    await confirm_stock(session, writer.label)
    counts = {"own_rows" if plan.serves == "scores" else "train_rows": plan.rows}
    if (own := plan.grid_columns if session.party is Party.GRID else plan.bank_columns) is not None:
        counts["trained_columns"] = own
    if plan.serves == "training":
        counts["iterations"] = learner_of(plan.model).steps(plan.model, Size(plan.rows, *plan.sizes))
    opened = sorted(value.value for value in session.opened)
    return Outcome(counts=counts, seconds={"predeal": time.monotonic() - start}, opened=opened)


async def _fill(plan: PredealPlan, session: Session, dealer: DealerLink | None, seed: bytes, writer: StockWriter) -> None:
    ahead, done = predealt(plan), 0
    total = sum(1 for _ in ahead.all_arrays(session.party))
    async with aclosing(_dealt(ahead, session, dealer) if dealer is not None else _made(plan, session, seed)) as coming:
        async for label, values in coming:
            await asyncio.to_thread(writer.add, label, values)
            session.reporter.progress(done := done + 1, total)
    await asyncio.to_thread(writer.finish)


async def _dealt(ahead: Ahead, session: Session, dealer: DealerLink) -> AsyncGenerator[tuple[Round, Array]]:
    for part in ahead.parts():
        await dealer.demand(part.demand)
        for label, shape in part.arrays(session.party):
            yield label, await take_dealt(dealer, label, shape)


def _made(plan: PredealPlan, session: Session, seed: bytes) -> AsyncGenerator[tuple[Round, Array]]:
    learner = learner_of(plan.model)
    if not isinstance(learner, MakesAhead):
        raise LocalProtocolError("a stock of this kind is dealt", got=learner.name)
    return learner.make_ahead(session, plan.model, Size(plan.rows, *plan.sizes), seed)
