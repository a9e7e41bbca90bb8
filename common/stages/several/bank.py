"""A training with several banks as one of them runs it; read it beside `grid`. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.disclosure import Opened
from common.features import leaks
from common.features.pieces import room
from common.home.outcome import Outcome
from common.home.record import Seen, make_record
from common.learn.layout import BanksLayout
from common.learn.learner import Size, Telling, steps_of
from common.learn.learners import learner_of, pack, several_of
from common.learn.linear.design import Prepared
from common.learn.several import Part
from common.learn.trees.design import Prepared as Cut
from common.monitor import reference
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub
from common.plan.job_stages import Stage
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig, Loaded
from common.rows.table import FeatureTable, Index
from common.stages.align import align, unlike
from common.stages.course import Point
from common.stages.job import Beginning, Heard, Made, PartyJob
from common.stages.keep import Product, keep_both
from common.stages.pipeline import about, keep_point, keep_rows, load_checked, restore, restore_rows
from common.stages.score import open_scores
from common.stages.several import apart, leave
from common.stages.several.columns import Counts, agree, bank_columns, kept, to_keep
from common.stages.several.cuts import bank_cuts
from common.stages.several.hold import hold_out
from common.stages.several.pooled import WITHHELD, measure
from common.stages.several.sizes import check_counts, check_own, limits_of
from common.stages.sizes import check_sizes, exchange_sizes
from common.stages.split import Mask, training_first


@dataclass(frozen=True, repr=False)
class OwnRows:
    """The rows of one bank in a training, those that train first; columns: as declared or inferred."""

    table: FeatureTable
    columns: dict[str, ColumnConfig]
    train: int

    @property
    def label(self) -> Reals:
        return self.table.outcomes[: self.train]


async def run_at_bank(job: PartyJob, plan: TrainPlan, several: SeveralPlan, hub: BankHub, place: int) -> Outcome:
    """Load, align, prepare by sums, train, evaluate. plan: what the grid and this bank do; place: this bank's in the plan.

    Raises the first error, after which nothing is kept.
    """
    loaded, data = await load_own(job)
    with job.stage(Stage.ALIGN):
        own = await take(job, loaded, *await _aligned(job, plan, several, hub, loaded.table, place))
        del loaded
    with job.stage(Stage.PREPARE):
        prepared, counts, grid = await _prepared(job, plan, several, hub, own)
        leave.say(job)
        learner = several_of(several.model)
        layout = learner.layout_of(grid, len(prepared.columns) - 1, len(several.banks), counts.train, counts.taken)
        check_sizes(counts.train, layout.columns, plan.limits)
        size = Size(counts.train, grid, layout.bank, len(several.banks))
        learner_of(several.model).check(several.model, size, job.home.policy)
        if said := _path(job, several, layout, own.train):
            job.warn(said)
        job.reporter.expect(learner.cost(several.model, layout, own.train, speaks=place == 0).total)
        await begin(job, plan, own, prepared, grid)
        job.count(all_train_rows=counts.train)
    with job.stage(Stage.TRAIN):
        part = Part(place, str(several.identities[place]), job.session, job.correlations, own.train)
        begun = (part, layout, several.model, prepared, own.label, job.scratch)
        task = await asyncio.to_thread(learner.at_bank, *begun)
        job.warn(*task.warnings)
        trained = await task.train(hub, job.scratch, job.course)
        await hub.compare()
        await job.session.compare()
        job.count(iterations=steps_of(task, trained))
    with job.stage(Stage.REVEAL):
        model = trained.half(job.id, own.columns, about(job, data))
    with job.stage(Stage.EVALUATE):
        made = Made(model, prepared, task.alone, own.table, own.train)
        telling = Telling(Kind.TEST_SCORES, plan.score_bits)
        budget = job.budget(model)
        u = await open_scores(job.session, job.correlations, model, made.held(), telling, budget)
        await job.session.compare()
        product = await judge(job, plan, several, hub, made, None if u is None else Heard(u), counts)
    await keep_both(job, product)
    job.outcome.opened = list(job.opened)
    return job.outcome


async def load_own(job: PartyJob) -> tuple[Loaded, str]:
    """This bank's dataset and its SHA-256, with a warning of columns that are all but the label."""
    with job.stage(Stage.LOAD):
        loaded, data = await load_checked(job, require_label=True)
        if suspicious := await asyncio.to_thread(leaks.find, loaded.table, loaded.aside):
            job.warn(*suspicious, public=leaks.PUBLIC)
    return loaded, data


async def take(job: PartyJob, loaded: Loaded, matched: Index, test: Mask) -> OwnRows:
    """The rows of a training. matched: their places, (n,); test: which of these are held out, (n,)."""
    order, train = training_first(matched, test), len(test) - int(test.sum())
    check_own(train, len(test) - train, job.home.policy)
    table = await asyncio.to_thread(loaded.table.take, order, job.scratch)
    return OwnRows(table, loaded.columns, train)


async def _prepared(
    job: PartyJob, plan: TrainPlan, several: SeveralPlan, hub: BankHub, own: OwnRows
) -> tuple[Prepared | Cut, Counts, int]:
    """This bank's columns, the sizes of all, the number of the grid's columns: as told, or as an earlier attempt kept them."""
    if (found := job.course.at(Point.PREPARED)) is not None:
        restore(job, found[1])
        prepared, before, grid = kept(own.table, own.columns, *found)
        if not leave.changed(job.course, found[1]):
            return prepared, before, grid
    else:
        leave.check_all(job.course)
    counts = Counts(*(int(n) for n in await hub.session.receive(Kind.SHAPE, np.uint64, (3,))))
    check_counts(counts.train, counts.matched, own.train, own.table.rows)
    least = several_of(several.model).layout_of(1, 1, len(several.banks), counts.train, counts.taken)
    _path(job, several, least, own.train)  # whatever the columns are: before any sum over them is told
    if found is None:
        prepared = await prepare(job, several, hub, own, counts)
    elif isinstance(prepared, Prepared):  # columns as they are: a sum over fewer banks would tell of the one that is gone
        prepared = leave.resized(prepared, before, counts, own.train)
    await hub.compare()
    grid = await exchange_sizes(job.session, own.table.rows, own.train, len(prepared.columns))
    await keep_point(job, Point.PREPARED, *to_keep(prepared, counts, grid))
    return prepared, counts, grid


def _path(job: PartyJob, several: SeveralPlan, layout: BanksLayout, rows: int) -> str:
    """What to warn of, if the path of the weights would show much of so few rows to who has both shares. Raises PolicyError."""
    learner = several_of(several.model)
    return job.home.policy.check_path(*learner.path(several.model, layout, rows), strict=learner.strict)


async def prepare(job: PartyJob, several: SeveralPlan, hub: BankHub, own: OwnRows, counts: Counts) -> Prepared | Cut:
    """This bank's columns, in units that all banks share."""
    rows = own.table.keys(slice(None))
    await apart.check(job, several, rows)
    await agree(hub, own.columns, ordered=isinstance(several.model, Trees))
    await apart.enter(job, several, rows)
    learner, options, leverage = several_of(several.model), several.preparation, job.home.policy.largest_leverage
    ridge = learner.ridge(several.model) if learner.whitened else None
    brought = own.table, own.columns, options, counts, own.train
    prepared: Prepared | Cut
    if isinstance(several.model, Trees):
        most = room(counts.train, several.limits.rows_per_column)
        prepared, warnings = await bank_cuts(hub, several.model, *brought, len(several.banks), most)
    else:
        prepared, warnings = await bank_columns(hub, *brought, ridge, leverage)
    job.warn(*warnings)
    return prepared


async def begin(
    job: PartyJob, plan: TrainPlan, own: OwnRows, prepared: Prepared | Cut, grid: int, told: tuple[tuple[str, float], ...] = ()
) -> None:
    """Charges what the training will tell, and counts its rows. grid: the grid's columns; told: as `Beginning` has it."""
    size = Size(own.train, grid, len(prepared.columns))
    await job.charge_training(plan, Beginning(own.table.keys(slice(None)), size, prepared, None, told, several=True))
    job.count(train_rows=own.train, test_rows=own.table.rows - own.train, trained_columns=len(prepared.columns))


async def judge(
    job: PartyJob, plan: TrainPlan, several: SeveralPlan, hub: BankHub, made: Made, heard: Heard | None, counts: Counts
) -> Product:
    """All that the training leaves here: measured by this bank, and over all banks' rows as far as each lets that be told."""
    care = await job.role.trained(job, plan, made, heard)
    if heard is not None:
        await _pooled(job, several, hub, made, heard, counts)
    known = await asyncio.to_thread(reference.describe, made.table, made.train_rows, heard.u if heard else None)
    packed = pack(made.model)
    seen = Seen(job.outcome.counts, job.outcome.seconds, job.opened)
    record = await asyncio.to_thread(
        make_record, made.model, made.table, made.train_rows, seen, care.refits, block=made.prepared.matrix
    )
    return Product(packed, known, care, record, None)


async def _pooled(job: PartyJob, several: SeveralPlan, hub: BankHub, made: Made, heard: Heard, counts: Counts) -> None:
    """Puts into the outcome how well the model ranks the held-out rows of all banks, where each bank lets that be told."""

    def pay(rows: FeatureTable, bits: float) -> bool:
        if not apart.counts(job, several, made.table):
            return False
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
