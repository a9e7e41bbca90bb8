"""A training with several banks as the grid runs it, with all at once; read it beside `bank`. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from common.features.pieces import room
from common.home.outcome import Outcome
from common.home.record import Seen, make_record
from common.learn.learner import Half, Matched, Size, Telling
from common.learn.learners import learner_of, pack
from common.learn.linear.half import ClosedModel, make_half
from common.learn.linear.layout import Layout
from common.learn.linear.learner import Linear
from common.learn.linear.several import Line, shares_of, train_several
from common.learn.linear.steps import make_steps
from common.learn.linear.train import Shares
from common.monitor import reference
from common.mpc.session import Kind
from common.mpc.several.hub import GridHub
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.rows.table import FeatureTable, Index
from common.stages.align import align, unlike
from common.stages.champion import digest_words
from common.stages.course import Point
from common.stages.job import Beginning, Kept, PartyJob
from common.stages.keep import Product, discard, keep
from common.stages.pipeline import about, check_data, keep_point, keep_rows, load, restore, restore_rows
from common.stages.score import open_scores
from common.stages.several.columns import grid_columns
from common.stages.several.hold import told
from common.stages.several.pooled import add_up
from common.stages.several.sizes import limits_of
from common.stages.sizes import check_sizes, exchange_sizes, too_few

_LAST_WORD = 5.0  # seconds in which banks still say how they ended, once a job is stopped here


@dataclass(frozen=True)
class Rows:
    """One bank's matched rows: their places in the grid's table, those that train first."""

    order: Index
    train: int

    @property
    def held(self) -> int:
        return len(self.order) - self.train


async def run_at_grid(jobs: Sequence[PartyJob], plan: TrainPlan, several: SeveralPlan, hub: GridHub) -> Outcome:
    """Load, align with each bank, prepare, train, score at each bank. jobs: one a bank, in the plan's order, of one outcome.

    Raises the first error, after which nothing is kept.
    """
    job, policy = jobs[0], jobs[0].home.policy
    with job.stage(Stage.LOAD):
        loaded = await load(job, require_label=False)
        data = await check_data(job)
    with job.stage(Stage.ALIGN):
        found = await _aligned(jobs, plan, several, loaded.table)
        order = np.concatenate([*(rows.order[: rows.train] for rows in found), *(rows.order[rows.train :] for rows in found)])
        keys = [loaded.table.keys(rows.order) for rows in found]
        table, columns = await asyncio.to_thread(loaded.table.take, order, job.scratch), loaded.columns
        del loaded, order
    with job.stage(Stage.PREPARE):
        train, learner = sum(rows.train for rows in found), learner_of(several.model)
        own = Matched(Party.GRID, table, columns, train, (), room(train, plan.limits.rows_per_column))
        options, largest = plan.preparation, policy.largest_leverage
        prepared, warnings = await asyncio.to_thread(Linear().prepare, several.model, own, options, largest)
        layout = Layout.over(len(prepared.columns), 0, [rows.train for rows in found])
        if (kept := job.course.at(Point.PREPARED)) is not None:
            restore(job, kept[1])
            layout = replace(layout, common=kept[1]["common"])
        else:
            await hub.session.send(Kind.SHAPE, np.array([train, table.rows, layout.taken], np.uint64))
            layout = replace(layout, common=await grid_columns(hub))
        if options.coding == "auto" and too_few(train, layout.columns, plan.limits):  # without pieces, as with one bank
            bare = replace(own, room=0)
            prepared, warnings = await asyncio.to_thread(Linear().prepare, several.model, bare, options, largest)
            layout = replace(layout, grid=len(prepared.columns))
        if kept is None:
            job.warn(*warnings)
            await asyncio.gather(*(_sizes(line, rows, layout) for line, rows in zip(jobs, found, strict=True)))
            await keep_point(job, Point.PREPARED, {}, {"common": layout.common})
        check_sizes(train, layout.columns, plan.limits)
        learner.check(several.model, Size(train, layout.grid, layout.bank), policy)
        for line, rows, those in zip(jobs, found, keys, strict=True):
            await line.rate(those.keys(slice(rows.train, None)), job.id)
            size = Size(rows.train, layout.grid, layout.common + 1)
            await job.role.before_training(line, plan, Beginning(those, size, prepared, None))
        job.count(train_rows=train, test_rows=table.rows - train, trained_columns=layout.grid)
    with job.stage(Stage.TRAIN):
        step = make_steps(several.model, train)[0].size
        words, pull, warnings = await asyncio.to_thread(prepared.encoded, train, several.model.ridge, step, job.scratch)
        job.warn(*warnings)
        lines, low = [], 0
        for k, (line, rows) in enumerate(zip(jobs, found, strict=True)):
            part = words[low : low + rows.train]
            lines.append(Line(k, line.session, line.correlations, part, pull if k == 0 else np.zeros_like(pull)))
            low += rows.train
        start = np.zeros(layout.columns)
        weights = await train_several(hub, lines, layout, several.model, start, 0.0, job.scratch, job.course)
        job.count(iterations=several.model.iterations)
    with job.stage(Stage.REVEAL):
        grid, bank = weights[: layout.grid], weights[layout.grid :]
        whole = make_half(job.id, prepared, Shares(grid, bank), columns, about(job, data))
        assert isinstance(whole, ClosedModel)  # noqa: S101
        places = {str(who): tuple(layout.bank_places(k).tolist()) for k, who in enumerate(several.identities)}
        model = replace(whole, banks=places)
    with job.stage(Stage.EVALUATE):
        halves = [replace(whole, other=shares_of(Party.GRID, layout, weights, k).other) for k in range(layout.banks)]
        lows = np.cumsum([train, *(rows.held for rows in found)]).tolist()
        held = [table.part(low, low + rows.held) for low, rows in zip(lows, found, strict=False)]
        await asyncio.gather(*(_score(line, plan, half, part) for line, half, part in zip(jobs, halves, held, strict=True)))
        await add_up(hub, table.rows - train)
        known = await asyncio.to_thread(reference.describe, table, train, None)
        seen = Seen(job.outcome.counts, job.outcome.seconds, job.opened)
        record = await asyncio.to_thread(make_record, model, table, train, seen, (), block=prepared.matrix)
    await _keep_all(jobs, Product(pack(model), known, Kept(), record, None))
    job.outcome.opened = list(job.opened)
    return job.outcome


async def _aligned(jobs: Sequence[PartyJob], plan: TrainPlan, several: SeveralPlan, table: FeatureTable) -> list[Rows]:
    """Each bank's rows, in the plan's order."""
    job = jobs[0]
    if (kept := job.course.at(Point.ALIGNED)) is not None:
        every, sizes = restore_rows(job, *kept), kept[0]["sizes"].astype(np.int64)
        parts = np.split(every, np.cumsum(sizes[:-1, 0]))
        return [Rows(order, int(train)) for order, (_, train) in zip(parts, sizes, strict=True)]
    named = zip(jobs, several.identities, strict=True)
    banks = await asyncio.gather(*(_align(line, plan, f"{job.id} {who}".encode(), table) for line, who in named))
    job.count(matched_ids=sum(ids for _, ids in banks), matched_rows=sum(len(rows.order) for rows, _ in banks))
    found = [rows for rows, _ in banks]
    sizes = np.array([(len(rows.order), rows.train) for rows in found], np.uint64)
    await keep_rows(job, matched=np.concatenate([rows.order for rows in found]), sizes=sizes)
    return found


async def _align(line: PartyJob, plan: TrainPlan, domain: bytes, table: FeatureTable) -> tuple[Rows, int]:
    """One bank's rows, and how many enterprises they are of."""
    by_period, limits = "period" in plan.keys, limits_of(plan, line.home.policy)
    matched, enterprises = await align(
        line.session, line.correlations, table, by_period=by_period, domain=domain, limits=limits, match=line.match
    )
    if said := await asyncio.to_thread(unlike, table, matched):
        line.warn(said)
    test = await told(line.session, len(matched))
    return Rows(matched[np.argsort(test, kind="stable")], len(test) - int(test.sum())), enterprises


async def _sizes(line: PartyJob, rows: Rows, layout: Layout) -> None:
    await exchange_sizes(line.session, len(rows.order), rows.train, layout.grid)


async def _score(line: PartyJob, plan: TrainPlan, half: Half, held: FeatureTable) -> None:
    telling = Telling(Kind.TEST_SCORES, plan.score_bits)
    await open_scores(line.session, line.correlations, half, held, telling, line.role.budget(half, line.id))


async def _keep_all(jobs: Sequence[PartyJob], product: Product) -> None:
    """As `keep.keep_both`, with each bank: what one of all could not write down, none keeps."""
    mine = digest_words(bytes.fromhex(product.packed.digest))
    theirs = await asyncio.gather(*(line.session.exchange(Kind.REGISTRY, mine) for line in jobs))  # all are through
    written = asyncio.create_task(_keep_if_all(jobs, product, [words.tobytes() for words in theirs]))
    try:
        await asyncio.shield(written)
    except asyncio.CancelledError:
        with suppress(TimeoutError):
            await asyncio.wait_for(written, _LAST_WORD)
        raise


async def _keep_if_all(jobs: Sequence[PartyJob], product: Product, peers: Sequence[bytes]) -> None:
    job, together = jobs[0], sha256(b"".join(peers)).hexdigest()
    halves = {line.chain: peer.hex() for line, peer in zip(jobs, peers, strict=True)}
    writing = asyncio.ensure_future(asyncio.to_thread(keep, job, product, together, halves))
    try:
        await asyncio.shield(writing)
        mine = [digest_words(peer) for peer in peers]
        await asyncio.gather(*(line.session.receive(Kind.REGISTRY, np.uint64, mine[0].shape) for line in jobs))
        told_all = zip(jobs, mine, strict=True)  # only when all have said so: a bank that hears this keeps its half
        await asyncio.gather(*(line.session.send(Kind.REGISTRY, words) for line, words in told_all))
    except BaseException:
        await asyncio.wait([writing])
        await asyncio.to_thread(discard, job)
        raise
