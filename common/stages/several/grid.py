"""A training with several banks as the grid runs it, with all at once; read it beside `bank`. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

import numpy as np

from common.features.pieces import room
from common.home.outcome import Outcome
from common.home.record import Seen, make_record
from common.learn.layout import BanksLayout
from common.learn.learner import Half, Matched, Prepared, Size, Telling, Trained, steps_of
from common.learn.learners import learner_of, line_of, pack, several_of
from common.learn.several import Part
from common.monitor import reference
from common.mpc.beside import side_by_side
from common.mpc.session import Kind, Session
from common.mpc.several.hub import GridHub
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig, Loaded
from common.rows.table import FeatureTable, Index
from common.stages.align import align, unlike
from common.stages.champion import digest_words
from common.stages.course import BANKS, Point
from common.stages.job import Beginning, Kept, PartyJob
from common.stages.keep import Product, discard, keep, last_word
from common.stages.pipeline import about, keep_point, keep_rows, load_checked, restore, restore_rows
from common.stages.score import open_scores
from common.stages.several import leave
from common.stages.several.columns import grid_columns
from common.stages.several.cuts import grid_cuts
from common.stages.several.hold import told
from common.stages.several.pooled import add_up, cells_of
from common.stages.several.sizes import limits_of
from common.stages.sizes import check_sizes, exchange_sizes, too_few
from common.stages.split import training_first
from common.stages.willing import agree_to_charge
from common.unheard import unheard


@dataclass(frozen=True)
class Rows:
    """One bank's matched rows: their places in the grid's table, those that train first."""

    order: Index
    train: int
    enterprises: int = 0

    @property
    def held(self) -> int:
        return len(self.order) - self.train


async def run_at_grid(jobs: Sequence[PartyJob], plan: TrainPlan, several: SeveralPlan, hub: GridHub) -> Outcome:
    """Load, align with each bank, prepare, train, score at each bank. jobs: one a bank, in the plan's order, of one outcome.

    Raises the first error, after which nothing is kept.
    """
    job = jobs[0]
    with job.stage(Stage.LOAD):
        loaded, data = await load_checked(job, require_label=False)
    with job.stage(Stage.ALIGN):
        own = await _taken(job, loaded, await _aligned(jobs, plan, several, loaded.table))
        del loaded
    with job.stage(Stage.PREPARE):
        prepared, layout = await _prepared(jobs, plan, several, hub, own)
        leave.say(job)
        check_sizes(own.train, layout.columns, plan.limits)
        size = Size(own.train, layout.grid, layout.bank, len(several.banks))
        learner_of(several.model).check(several.model, size, job.home.policy)
        await _begin(jobs, plan, hub.session, own, prepared, layout)
    with job.stage(Stage.TRAIN):
        trained = await _trained(jobs, several, hub, own, prepared, layout)
    with job.stage(Stage.REVEAL):
        model = trained.half(job.id, own.columns, about(job, data))
        halves = [line_of(model, str(who)) for who in several.identities]
    with job.stage(Stage.EVALUATE):
        scored = zip(jobs, halves, own.held, strict=True)
        await side_by_side(_score(line, plan, half, part) for line, half, part in scored)
        await add_up(hub, cells_of(own.table.rows - own.train))
        product = await _product(job, model, own, prepared)
    await _keep_all(jobs, product)
    job.outcome.opened = list(job.opened)
    return job.outcome


@dataclass(frozen=True, repr=False)
class _Own:
    """All matched rows, those that train first, each in the banks' order; columns: as declared or inferred."""

    table: FeatureTable
    columns: dict[str, ColumnConfig]
    banks: list[Rows]

    @property
    def train(self) -> int:
        return sum(rows.train for rows in self.banks)

    @property
    def held(self) -> list[FeatureTable]:
        """Each bank's held-out rows."""
        lows = np.cumsum([self.train, *(rows.held for rows in self.banks)]).tolist()
        return [self.table.part(low, low + rows.held) for low, rows in zip(lows, self.banks, strict=False)]

    def keys(self, bank: int) -> FeatureTable:
        """Ids and months of one bank's rows, those that train first."""
        low = sum(rows.train for rows in self.banks[:bank])
        held = self.train + sum(rows.held for rows in self.banks[:bank])
        rows = self.banks[bank]
        places = np.r_[low : low + rows.train, held : held + rows.held]
        return self.table.keys(places)


async def _taken(job: PartyJob, loaded: Loaded, banks: list[Rows]) -> _Own:
    order = np.concatenate([*(rows.order[: rows.train] for rows in banks), *(rows.order[rows.train :] for rows in banks)])
    return _Own(await asyncio.to_thread(loaded.table.take, order, job.scratch), loaded.columns, banks)


async def _prepared(
    jobs: Sequence[PartyJob], plan: TrainPlan, several: SeveralPlan, hub: GridHub, own: _Own
) -> tuple[Prepared, BanksLayout]:
    """The grid's columns, and how many each end has; all banks' as they tell, or as was kept of an earlier attempt."""
    job, options = jobs[0], plan.preparation
    every = Matched(Party.GRID, own.table, own.columns, own.train, (), room(own.train, plan.limits.rows_per_column))
    learner, prepare = several_of(several.model), learner_of(several.model).prepare
    prepare = partial(prepare, several.model, options=options, leverage=job.home.policy.largest_leverage)
    prepared, warnings = await asyncio.to_thread(prepare, every)
    layout = learner.layout(len(prepared.columns), 0, [rows.train for rows in own.banks])
    kept = job.course.at(Point.PREPARED)
    fewer = kept is not None and leave.changed(job.course, kept[1])
    if kept is None or fewer:
        await hub.session.send(Kind.SHAPE, np.array([own.train, own.table.rows, layout.sampled], np.uint64))
    if kept is not None:
        restore(job, kept[1])
        layout = replace(layout, common=kept[1]["common"])
    else:
        leave.check_all(job.course)
        if isinstance(several.model, Trees):
            common = await grid_cuts(hub, several.model)
        else:
            common = await grid_columns(hub, whitened=learner.whitened)
        layout = replace(layout, common=common)
    if options.coding == "auto" and too_few(own.train, layout.columns, plan.limits):  # without pieces, as with one bank
        prepared, warnings = await asyncio.to_thread(prepare, replace(every, room=0))
        layout = replace(layout, grid=len(prepared.columns))
    if kept is None or fewer:
        job.warn(*warnings)
        _count(job, own.banks)
        await hub.compare()
        await side_by_side(_sizes(line, rows, layout) for line, rows in zip(jobs, own.banks, strict=True))
        await keep_point(job, Point.PREPARED, {}, {"common": layout.common})
    return prepared, layout


async def _begin(
    jobs: Sequence[PartyJob], plan: TrainPlan, banks: Session, own: _Own, prepared: Prepared, layout: BanksLayout
) -> None:
    """Asks on each line whether what the training will tell may be told, then counts its rows, of all lines or of none.

    banks: with all of them, who have asked the same of their own books by then.
    """
    job, held = jobs[0], own.table.keys(slice(own.train, None))
    await job.session.compute(lambda: job.check_rate(held, job.id), held.rows * 64)
    for k, (line, rows) in enumerate(zip(jobs, own.banks, strict=True)):
        size = Size(rows.train, layout.grid, layout.common + 1)
        # Nothing is charged here: with several banks the model is closed.
        await line.role.check_training(line, plan, Beginning(own.keys(k), size, prepared, None))
    await agree_to_charge(banks)
    await job.rate(held, job.id)
    job.count(train_rows=own.train, test_rows=held.rows, trained_columns=layout.grid)


async def _trained(
    jobs: Sequence[PartyJob], several: SeveralPlan, hub: GridHub, own: _Own, prepared: Prepared, layout: BanksLayout
) -> Trained:
    """What the grid holds of the model of all banks."""
    job, begun = jobs[0], zip(several.identities, jobs, own.banks, strict=True)
    parts = [Part(k, str(who), line.session, line.correlations, rows.train) for k, (who, line, rows) in enumerate(begun)]
    at_grid = several_of(several.model).at_grid
    task = await asyncio.to_thread(at_grid, parts, layout, several.model, prepared, job.scratch)
    job.warn(*task.warnings)
    trained = await task.train(hub, job.scratch, job.course)
    await hub.compare()
    await side_by_side(line.session.compare() for line in jobs)
    job.count(iterations=steps_of(task, trained))
    return trained


async def _product(job: PartyJob, model: Half, own: _Own, prepared: Prepared) -> Product:
    known = await asyncio.to_thread(reference.describe, own.table, own.train, None)
    seen = Seen(job.outcome.counts, job.outcome.seconds, job.opened)
    record = await asyncio.to_thread(make_record, model, own.table, own.train, seen, (), block=prepared.matrix)
    return Product(pack(model), known, Kept(), record, None)


async def _aligned(jobs: Sequence[PartyJob], plan: TrainPlan, several: SeveralPlan, table: FeatureTable) -> list[Rows]:
    """Each bank's rows, in the plan's order."""
    job = jobs[0]
    if (kept := job.course.at(Point.ALIGNED)) is not None:
        every, sizes = restore_rows(job, *kept), kept[0]["sizes"].astype(np.int64)
        parts, was = np.split(every, np.cumsum(sizes[:-1, 0])), list(kept[1].get(BANKS, job.course.banks))
        found = [Rows(order, *rest) for order, (_, *rest) in zip(parts, sizes.tolist(), strict=True)]
        return [found[was.index(str(who))] for who in several.identities]
    named = zip(jobs, several.identities, strict=True)
    banks = await side_by_side(_align(line, plan, f"{job.id} {who}".encode(), table) for line, who in named)
    _count(job, banks)
    every = np.unique(np.concatenate([rows.order for rows in banks]))  # one bank's may be unlike another's
    if said := await asyncio.to_thread(unlike, table, every):
        job.warn(said)
    sizes = np.array([(len(rows.order), rows.train, rows.enterprises) for rows in banks], np.uint64)
    await keep_rows(job, matched=np.concatenate([rows.order for rows in banks]), sizes=sizes)
    return banks


def _count(job: PartyJob, banks: Sequence[Rows]) -> None:
    job.count(matched_ids=sum(rows.enterprises for rows in banks), matched_rows=sum(len(rows.order) for rows in banks))


async def _align(line: PartyJob, plan: TrainPlan, domain: bytes, table: FeatureTable) -> Rows:
    """One bank's rows."""
    by_period, limits = "period" in plan.keys, limits_of(plan, line.home.policy)
    matched, enterprises = await align(
        line.session, line.correlations, table, by_period=by_period, domain=domain, limits=limits, match=line.match
    )
    test = await told(line.session, len(matched))
    return Rows(training_first(matched, test), len(test) - int(test.sum()), enterprises)


async def _sizes(line: PartyJob, rows: Rows, layout: BanksLayout) -> None:
    await exchange_sizes(line.session, len(rows.order), rows.train, layout.grid)


async def _score(line: PartyJob, plan: TrainPlan, half: Half, held: FeatureTable) -> None:
    telling = Telling(Kind.TEST_SCORES, plan.score_bits)
    await open_scores(line.session, line.correlations, half, held, telling, line.budget(half))
    await line.session.compare()


async def _keep_all(jobs: Sequence[PartyJob], product: Product) -> None:
    """As `keep.keep_both`, with each bank: what one of all could not write down, none keeps."""
    mine = digest_words(bytes.fromhex(product.packed.digest))
    theirs = await side_by_side(line.session.exchange(Kind.REGISTRY, mine) for line in jobs)  # all are through
    written = asyncio.create_task(_keep_if_all(jobs, product, [words.tobytes() for words in theirs]))
    try:
        await asyncio.shield(written)
    except asyncio.CancelledError:
        await last_word(written)
        raise


async def _keep_if_all(jobs: Sequence[PartyJob], product: Product, peers: Sequence[bytes]) -> None:
    job, together = jobs[0], sha256(b"".join(peers)).hexdigest()
    halves = {line.chain: peer.hex() for line, peer in zip(jobs, peers, strict=True)}
    writing = unheard(asyncio.ensure_future(asyncio.to_thread(keep, job, product, together, halves)))
    try:
        await asyncio.shield(writing)
        mine = [digest_words(peer) for peer in peers]
        await side_by_side(line.session.receive(Kind.REGISTRY, np.uint64, mine[0].shape) for line in jobs)
        told_all = zip(jobs, mine, strict=True)  # only when all have said so: a bank that hears this keeps its half
        await side_by_side(line.session.send(Kind.REGISTRY, words) for line, words in told_all)
    except BaseException:
        await asyncio.wait([writing])
        await asyncio.to_thread(discard, job)
        raise
