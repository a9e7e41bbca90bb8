"""A training with several banks as one of them runs it; read it beside `grid`. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np

from common.disclosure import Opened
from common.features import leaks
from common.home.outcome import Outcome
from common.home.record import Seen, make_record
from common.learn.learner import Size, Telling
from common.learn.learners import learner_of, pack
from common.learn.linear.layout import Layout
from common.learn.linear.learner import LinearTask, LinearTrained
from common.learn.linear.several import Line, shares_of, train_several
from common.learn.linear.steps import make_steps
from common.learn.linear.train import TrainingInputs
from common.monitor import reference
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub
from common.plan.job_stages import Stage
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.rows.table import FeatureTable, Index
from common.stages.align import align, unlike
from common.stages.course import Point
from common.stages.job import Beginning, Heard, Made, PartyJob
from common.stages.keep import Product, keep_both
from common.stages.pipeline import about, check_data, keep_point, keep_rows, load, restore, restore_rows
from common.stages.score import open_scores
from common.stages.several.columns import Counts, bank_columns, kept, to_keep
from common.stages.several.hold import hold_out
from common.stages.several.pooled import WITHHELD, measure
from common.stages.several.sizes import check_own, limits_of
from common.stages.sizes import check_sizes, exchange_sizes
from common.stages.split import Mask


async def run_at_bank(job: PartyJob, plan: TrainPlan, several: SeveralPlan, hub: BankHub, place: int) -> Outcome:
    """Load, align, prepare by sums, train, evaluate. plan: what the grid and this bank do; place: this bank's in the plan.

    Raises the first error, after which nothing is kept.
    """
    session, policy = job.session, job.home.policy
    with job.stage(Stage.LOAD):
        loaded = await load(job, require_label=True)
        data = await check_data(job)
        if suspicious := await asyncio.to_thread(leaks.find, loaded.table, loaded.aside):
            job.warn(*suspicious, public=leaks.PUBLIC)
    with job.stage(Stage.ALIGN):
        matched, test = await _aligned(job, plan, several, hub, loaded.table, place)
        order, rows = matched[np.argsort(test, kind="stable")], len(test) - int(test.sum())
        check_own(rows, len(test) - rows, policy)
        table, columns = await asyncio.to_thread(loaded.table.take, order, job.scratch), loaded.columns
        del loaded, matched, test, order
    with job.stage(Stage.PREPARE):
        ridge = several.model.ridge
        if (found := job.course.at(Point.PREPARED)) is not None:
            restore(job, found[1])
            prepared, counts, grid = kept(table, *found)
        else:
            counts = Counts(*(int(n) for n in await session.receive(Kind.SHAPE, np.uint64, (3,))))
            prepared, warnings = await bank_columns(
                hub, table, columns, plan.preparation, counts, rows, ridge, policy.largest_leverage
            )
            job.warn(*warnings)
            grid = await exchange_sizes(session, table.rows, rows, len(prepared.columns))
            await keep_point(job, Point.PREPARED, *to_keep(prepared, counts, grid))
        layout = Layout(grid, len(prepared.columns) - 1, len(several.banks), counts.train, counts.taken)
        check_sizes(counts.train, layout.columns, plan.limits)
        learner_of(several.model).check(several.model, Size(counts.train, grid, layout.bank), policy)
        await job.rate(table.keys(slice(rows, None)), job.id)
        size = Size(rows, grid, len(prepared.columns))
        await job.role.before_training(job, plan, Beginning(table.keys(slice(None)), size, prepared, None))
        job.count(train_rows=rows, test_rows=table.rows - rows, trained_columns=len(prepared.columns))
    with job.stage(Stage.TRAIN):
        label = table.outcomes[:rows]
        step = make_steps(several.model, rows)[0].size
        words, pull, warnings = await asyncio.to_thread(prepared.encoded, rows, ridge, step, job.scratch)
        job.warn(*warnings)
        start = prepared.start(label)
        first = np.zeros(layout.columns)
        first[layout.places(place)[layout.grid :]] = start
        line = Line(place, session, job.correlations, words, pull if place == 0 else np.zeros_like(pull), label)
        weights = await train_several(hub, [line], layout, several.model, first, 1.0, job.scratch, job.course)
        inputs = TrainingInputs(several.model, words, pull, grid, start, label)
        task = LinearTask(prepared, inputs, grid, warnings)
        job.count(iterations=several.model.iterations)
    with job.stage(Stage.REVEAL):
        shares = shares_of(session.party, layout, weights, place)
        model = LinearTrained(prepared, shares).half(job.id, columns, about(job, data))
    with job.stage(Stage.EVALUATE):
        made = Made(model, prepared, task, table, rows)
        telling = Telling(Kind.TEST_SCORES, plan.score_bits)
        u = await open_scores(session, job.correlations, model, made.held(), telling, job.role.budget(model, job.id))
        heard = None if u is None else Heard(u)
        care = await job.role.trained(job, plan, made, heard)
        if heard is not None:
            await _pooled(job, hub, made, heard, counts)
        known = await asyncio.to_thread(reference.describe, table, rows, heard.u if heard else None)
        packed = pack(model)
        seen = Seen(job.outcome.counts, job.outcome.seconds, job.opened)
        record = await asyncio.to_thread(make_record, model, table, rows, seen, care.refits, block=prepared.matrix)
    await keep_both(job, Product(packed, known, care, record, None))
    job.outcome.opened = list(job.opened)
    return job.outcome


async def _pooled(job: PartyJob, hub: BankHub, made: Made, heard: Heard, counts: Counts) -> None:
    """Puts into the outcome how well the model ranks the held-out rows of all banks, where each bank lets that be told."""

    def pay(rows: FeatureTable, bits: float) -> bool:
        return job.role.tells(rows.keys(slice(None)), job.id, "scores of each class, with other banks' rows", bits)

    found = await measure(hub, made.held(), heard.u, counts.matched - counts.train, pay)
    if found is None:
        job.warn(WITHHELD, public=WITHHELD)
        return
    job.session.open(Opened.POOLED_METRICS)
    job.outcome.pooled = found


async def _aligned(
    job: PartyJob, plan: TrainPlan, several: SeveralPlan, hub: BankHub, table: FeatureTable, place: int
) -> tuple[Index, Mask]:
    """The places of the rows that the grid holds too, in an order that both know, and which of them are held out."""
    if (found := job.course.at(Point.ALIGNED)) is not None:
        return restore_rows(job, *found), found[0]["test"].astype(np.bool_)
    domain = f"{job.id} {several.identities[place]}".encode()
    by_period, limits = "period" in plan.keys, limits_of(plan, job.home.policy)
    matched, enterprises = await align(
        job.session, job.correlations, table, by_period=by_period, domain=domain, limits=limits, match=job.match
    )
    job.count(matched_ids=enterprises, matched_rows=len(matched))
    if said := await asyncio.to_thread(unlike, table, matched):
        job.warn(said)
    keys = table.keys(matched)
    await asyncio.to_thread(job.home.sets.enter, keys, job.id, job.home.policy.least_difference)
    test = await hold_out(hub, keys, several.split.test, partial(job.role.check_labels, job))
    await keep_rows(job, matched=matched, test=test)
    return matched, test
