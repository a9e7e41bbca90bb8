"""A training of banks alone: as one of them runs it, and as who has the grid's seat does, which adds up and has no rows.

PROTOCOL.md section 16.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b, sha256

import numpy as np

from common.errors import PolicyError
from common.home.outcome import Outcome
from common.learn.learner import Half
from common.learn.linear import alone
from common.learn.linear.alone import MOST_SUMS, SUM_BITS, Optimum, Own
from common.learn.linear.banks import make_task
from common.learn.linear.design import Prepared
from common.learn.linear.half import PartyModel, make_half
from common.mpc.beside import side_by_side
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.mpc.several.hub import BankHub, GridHub, to_banks
from common.plan.job_stages import Stage
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable, Index
from common.stages.champion import digest_words
from common.stages.course import Point
from common.stages.job import Heard, HubJob, Made, PartyJob
from common.stages.keep import keep_both
from common.stages.pipeline import about, keep_point, keep_rows, restore, restore_rows
from common.stages.price import step_bits
from common.stages.several import leave, pooled
from common.stages.several.bank import OwnRows, begin, judge, load_own, prepare, take
from common.stages.several.columns import Counts, grid_columns, kept, to_keep
from common.stages.several.hold import draw
from common.stages.several.sizes import check_enterprises
from common.stages.sizes import check_sizes
from common.stages.split import Mask
from common.stages.willing import agree_to_charge
from common.stats.logistic import Design

UNREACHED = f"after {MOST_SUMS} sums a step still gained: the columns all but tell the label, or the ridge is too small"
_DIGEST = 32


async def run_alone(job: PartyJob, plan: TrainPlan, several: SeveralPlan, hub: BankHub) -> Outcome:
    """Load, draw what is held out, prepare by sums, step by sums, evaluate; the model is this bank's. plan: what it does of it.

    Raises the first error, after which nothing is kept.
    """
    banks = len(several.banks)
    loaded, data = await load_own(job)
    with job.stage(Stage.PREPARE):
        own = await take(job, loaded, *await _drawn(job, several, hub, loaded.table))
        del loaded
        prepared, counts = await _prepared(job, several, hub, own)
        leave.say(job)
        columns = len(prepared.columns) - 1
        check_sizes(counts.train, columns + banks, plan.limits)
        _check_told(own.train, columns)
        await begin(job, plan, own, prepared, 0, (("sums of the steps of banks alone", _told(own, columns, counts)),))
    with job.stage(Stage.TRAIN):
        task = await asyncio.to_thread(make_task, several.linear, prepared, own.label, 0, job.scratch)
        job.warn(*task.warnings)
        found = await _stepped(job, several, hub, own, prepared, counts)
        inner = np.append(found.weights, found.intercept / prepared.whiten[-1, -1])
    with job.stage(Stage.REVEAL):
        model = make_half(job.id, prepared, inner, own.columns, about(job, data))
    with job.stage(Stage.EVALUATE):
        made = Made(model, prepared, task, own.table, own.train)
        u = await asyncio.to_thread(_scores, made, inner)
        product = await judge(job, plan, several, hub, made, Heard(u), counts)
    await keep_both(job, product)
    job.outcome.opened = list(job.opened)
    return job.outcome


async def run_at_hub(job: HubJob, lines: Sequence[Session], hub: GridHub) -> Outcome:
    """What adds up for them. lines: to each bank, in the plan's order. It learns how many columns and sums there are."""
    with job.stage(Stage.PREPARE):
        if job.course.at(Point.ALIGNED) is None:
            await keep_point(job, Point.ALIGNED, {}, {})
        if (found := job.course.at(Point.PREPARED)) is not None:
            restore(job, found[1])
            columns = int(found[1]["columns"])
        else:
            await to_banks(hub, np.zeros(2, np.uint64))
            columns = await grid_columns(hub, whitened=True)
            await hub.compare()
            await keep_point(job, Point.PREPARED, {}, {"columns": columns})
        leave.say(job)
        await agree_to_charge(hub.session)
    with job.stage(Stage.TRAIN):
        sums = await alone.add_up(hub, columns, lambda done: job.reporter.progress(done, MOST_SUMS))
        await hub.session.receive(Kind.SEEDS, np.uint8, (_DIGEST,))  # the same weights at all, or the job ends here
        await hub.compare()
        job.count(iterations=sums)
    with job.stage(Stage.EVALUATE):
        cells = await hub.session.receive(Kind.SHAPE, np.uint64, (1,))
        await pooled.add_up(hub, int(cells[0]))
    await _all_keep(lines)
    job.outcome.opened = list(job.opened)
    return job.outcome


async def _drawn(job: PartyJob, several: SeveralPlan, hub: BankHub, table: FeatureTable) -> tuple[Index, Mask]:
    """The places of all rows, in an order of no meaning, and which are held out: an enterprise at each bank or at none."""
    if (found := job.course.at(Point.ALIGNED)) is not None:
        return restore_rows(job, *found), found[0]["test"].astype(np.bool_)
    check_enterprises(table, max(several.limits.min_matched, job.home.policy.min_matched))
    key = hub.correlations.secret(Purpose.SPLIT, 8).tobytes()
    order = np.argsort(await job.session.compute(lambda: hash_rows(table, key), table.rows * 64), kind="stable")
    keys = table.keys(order)
    job.count(matched_rows=table.rows)
    await asyncio.to_thread(job.home.sets.enter, keys, job.id, job.home.policy.least_difference)
    test = await draw(hub, keys, several.split.test, partial(job.role.check_labels, job))
    await keep_rows(job, matched=order, test=test)
    return order, test


async def _prepared(job: PartyJob, several: SeveralPlan, hub: BankHub, own: OwnRows) -> tuple[Prepared, Counts]:
    """This bank's columns, and how many rows all banks have: as sums tell, or as an earlier attempt kept it."""
    if (found := job.course.at(Point.PREPARED)) is not None:
        restore(job, found[1])
        prepared, counts, _ = kept(own.table, own.columns, *found)
        assert isinstance(prepared, Prepared)  # noqa: S101  (banks alone train the linear model)
        return prepared, counts
    leave.check_all(job.course)
    told = decode(await to_banks(hub, encode(np.array([own.train, own.table.rows], np.float64), 0)), 0)
    counts = Counts(int(told[0]), int(told[1]), int(told[0]))
    prepared = await prepare(job, several, hub, own, counts)
    assert isinstance(prepared, Prepared)  # noqa: S101
    await hub.compare()
    await keep_point(job, Point.PREPARED, *to_keep(prepared, counts, 0))
    return prepared, counts


def _check_told(rows: int, columns: int) -> None:
    """Raises PolicyError where sums would tell more numbers than half of what this bank's rows hold."""
    least = MOST_SUMS * (columns + 3)
    if rows < least:
        raise PolicyError(
            f"{rows} training rows of this bank are too few for sums of {columns} columns without a grid",
            expected=f"at least {least}",
            got=rows,
            remedy="Bring more rows, or name fewer columns in the plan: banks.columns.",
            public="a bank has too few training rows for the columns of banks alone",
        )


def _told(own: OwnRows, columns: int, counts: Counts) -> float:
    """Bits that the steps tell of labels, in all sums there may be; told again, they say the same."""
    months = int(np.bincount(own.table.ids.codes[: own.train]).max())
    return step_bits(columns, counts.train, own.train, months, MOST_SUMS, SUM_BITS)


async def _stepped(
    job: PartyJob, several: SeveralPlan, hub: BankHub, own: OwnRows, prepared: Prepared, counts: Counts
) -> Optimum:
    """The weights of the whitened columns, the same at all banks, and this bank's intercept."""
    basis = prepared.whiten.copy()
    basis[-1, -1] = 1.0
    design = Design(own.train, len(basis), lambda low, high: prepared.matrix(low, high) @ basis)
    penalty = several.linear.ridge * prepared.penalty[:-1, :-1]
    mine = Own(design, own.label, own.train / counts.train)
    found = await alone.descend(hub, mine, len(several.banks), penalty, lambda done: job.reporter.progress(done, MOST_SUMS))
    await job.session.send(Kind.SEEDS, _fingerprint(hub, found.weights))
    await hub.compare()
    await job.session.send(Kind.SHAPE, np.array([pooled.cells_of(counts.matched - counts.train)], np.uint64))
    if not found.reached:
        job.warn(UNREACHED, public=UNREACHED)
    job.count(iterations=found.sums)
    return found


def _fingerprint(hub: BankHub, weights: Reals) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """A hash of the weights, keyed by what the hub does not know: it tells that one whether they are the same, and no more."""
    key = hub.correlations.secret(Purpose.AGREED, 8).tobytes()
    digest = blake2b(weights.tobytes(), key=key, digest_size=_DIGEST, person=b"wattscore.weight").digest()
    return np.frombuffer(digest, np.uint8)


def _scores(made: Made, inner: Reals) -> Reals:
    """The log-odds of held-out rows, (n,)."""
    weights = made.prepared.whiten @ inner  # type: ignore[attr-defined]
    return Design(made.table.rows - made.train_rows, len(inner), made.held_matrix).times(weights)


def whole_scores(half: Half, table: FeatureTable) -> Reals:
    """Log-odds (n,) of rows by a model of banks alone, of which each bank's half is the whole."""
    assert isinstance(half, PartyModel)  # noqa: S101
    return np.asarray(half.partial_scores(table), np.float64)


async def _all_keep(lines: Sequence[Session]) -> None:
    """What one of the banks could not write down, none keeps: as `keep.keep_both`, for all of them at once."""
    told = await side_by_side(line.collect(Kind.REGISTRY, np.uint64, (4,)) for line in lines)
    together = digest_words(sha256(b"".join(words.tobytes() for words in told)).digest())
    await side_by_side(line.send(Kind.REGISTRY, together) for line in lines)
    await side_by_side(line.collect(Kind.REGISTRY, np.uint64, (4,)) for line in lines)  # each has written its model
    await side_by_side(line.send(Kind.REGISTRY, words) for line, words in zip(lines, told, strict=True))
