"""A predealing job at one party: what one training, or scoring, will consume comes in from the dealer, into a stock."""

from __future__ import annotations

import asyncio
import time

from common.errors import DataError
from common.home.outcome import Outcome
from common.home.stock import StockWriter
from common.home.stocks import Stocks, predealt
from common.learn.learners import learner_of
from common.mpc.correlations.asked import DealerLink
from common.mpc.correlations.dealt import take_dealt
from common.mpc.session import Session
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.predeal import PredealPlan
from common.stages.ahead import confirm_stock
from common.stages.job import StageReporter


async def predeal(
    job: str, plan: PredealPlan, session: Session, dealer: DealerLink, seed: bytes, stocks: Stocks, reporter: StageReporter
) -> Outcome:
    """Both parties hold the stock at the end, or neither uses it: one that only one of them holds is never chosen.

    1. order; write each array as it comes   2. all on disk: say so   3. give it its name: say so
    Raises PolicyError when there is no room, DataError when the disk fails.
    """
    reporter.stage(Stage.PREDEAL)
    reporter.rows(plan.rows)
    start = time.monotonic()
    stocks.check(plan, session.party)
    try:
        with stocks.create(job, plan, seed) as writer:
            await _receive(plan, session, dealer, writer)
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
        counts["iterations"] = learner_of(plan.model).steps(plan.model, plan.rows)
    opened = sorted(value.value for value in session.opened)
    return Outcome(counts=counts, seconds={"predeal": time.monotonic() - start}, opened=opened)


async def _receive(plan: PredealPlan, session: Session, dealer: DealerLink, writer: StockWriter) -> None:
    ahead = predealt(plan)
    await dealer.demand(ahead.demand)
    arrays = list(ahead.arrays(session.party))
    for done, (label, shape) in enumerate(arrays, 1):
        values = await take_dealt(dealer, label, shape)
        await asyncio.to_thread(writer.add, label, values)
        session.reporter.progress(done, len(arrays))
    await asyncio.to_thread(writer.finish)
