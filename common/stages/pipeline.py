"""A job from end to end at one party. Both parties run this same code; read it top to bottom."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from common import __version__
from common.disclosure import Opened
from common.errors import DataError, PlanError
from common.features import leaks
from common.features.binning import Binning, binned_columns
from common.features.pieces import room
from common.features.selection import selection
from common.home.outcome import Outcome
from common.home.record import Seen, make_record
from common.learn.learner import Half, Matched, Prepared, Size, Task, Telling, steps_of, train
from common.learn.learners import learner_of, line_of, pack, scored_undealt
from common.match.agree import MatchLimits
from common.monitor import reference
from common.mpc.beside import ending, to_the_end
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Array, Kind
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.policy import not_allowed
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.rows.dataset import ColumnConfig, Loaded, fingerprint, infer_columns, read_table
from common.rows.formats.paths import stamp_of, unchanged
from common.rows.table import FeatureTable, Index
from common.stages import split
from common.stages.ahead import Otherwise, scores_ahead, train_ahead
from common.stages.align import align, align_directly, unlike
from common.stages.asked import serve_requests
from common.stages.champion import find_champion, resolve
from common.stages.counts import Allowance, bin_columns
from common.stages.course import Point
from common.stages.job import Beginning, Heard, Made, PartyJob, Told
from common.stages.keep import Product, keep_both
from common.stages.months import in_months, up_to
from common.stages.offer import check_width, select
from common.stages.reasons import check_reasons, open_reasons
from common.stages.score import open_scores
from common.stages.sizes import check_sizes, exchange_sizes, too_few
from common.stages.watch import told, watch
from common.stages.willing import agree_to_charge

_IN_USE = "other jobs have all stocks that fit: what this one consumes is dealt while it runs"
_UNCHALLENGED = "the plan challenges the champion, and there is none yet"


async def run(job: PartyJob) -> Outcome:
    """The whole of a job; raises the first error, after which nothing of it is kept."""
    await (run_training(job, job.plan) if isinstance(job.plan, TrainPlan) else run_scoring(job, job.plan))
    job.outcome.opened = list(job.opened)
    return job.outcome


async def run_training(job: PartyJob, plan: TrainPlan) -> None:
    """Load, align, prepare, train, reveal, evaluate."""
    with job.stage(Stage.LOAD):
        loaded, data = await load_checked(job, require_label=job.party is Party.BANK)
        if suspicious := await asyncio.to_thread(leaks.find, loaded.table, loaded.aside):
            job.warn(*suspicious, public=leaks.PUBLIC)
    with job.stage(Stage.ALIGN):
        matched, test = await align_training(job, plan, loaded.table)
        if plan.mixes_enterprises and job.party is Party.BANK:
            job.warn(split.MIXED, public=split.MIXED)
        order, train_rows = split.training_first(matched, test), len(test) - int(test.sum())
        del matched, test
        job.give_back()
        table, columns = await asyncio.to_thread(loaded.table.move, order, job.scratch), loaded.columns
        del loaded, order
    with job.stage(Stage.PREPARE):
        binnings = await bin_own_columns(job, plan, columns, table, train_rows)
        most = room(train_rows, plan.limits.rows_per_column)
        own = Matched(job.party, table, columns, train_rows, binned_columns(binnings, plan.preparation), most)
        prepared, other = await prepare(job, plan, own)
        job.give_back()
        rival = None
        if plan.challenge:
            chain = job.session, job.registry, job.home.models
            rival = await find_champion(*chain, columns, undealt=plan.undealt)
        if plan.challenge and rival is None:
            job.warn(_UNCHALLENGED, public=_UNCHALLENGED)
        size = Size.of(job.party, train_rows, len(prepared.columns), other)
        learner_of(plan.model).check(plan.model, size, job.home.policy)
        job.reporter.expect(learner_of(plan.model).cost(job.party, plan.model, size).total)
        await job.charge_training(plan, Beginning(table.keys(slice(None)), size, prepared, rival))
        job.count(train_rows=train_rows, test_rows=table.rows - train_rows, trained_columns=len(prepared.columns))
    with job.stage(Stage.TRAIN):
        making = asyncio.ensure_future(make_task(job, plan, prepared, own, other))
        with ending([making]):
            if plan.dealt == "ahead" and not job.course.again:  # else its stock may be spent: what is left is dealt now
                with_stock = job.session, job.shelf, job.home.key, plan.model, size
                trained = await train_ahead(*with_stock, making, job.scratch, job.course, otherwise(job))
            else:
                trained = await train(await making, job.session, job.correlations, job.scratch, job.course)
            task = await making
        await job.session.compare()
        job.count(iterations=steps_of(task, trained))
    with job.stage(Stage.REVEAL):
        model = trained.half(job.id, columns, about(job, data))
    with job.stage(Stage.EVALUATE):
        made = Made(model, prepared, task, table, train_rows)
        heard = await tell_scores(job, plan, made, rival)
        await job.session.compare()
        job.give_back()
        kept = await job.role.trained(job, plan, made, heard)
        job.give_back()
        known = await asyncio.to_thread(reference.describe, table, train_rows, heard.u if heard else None)
        packed = pack(model)
        seen = Seen(job.outcome.counts, job.outcome.seconds, job.opened)
        record = await asyncio.to_thread(make_record, model, table, train_rows, seen, kept.refits, block=prepared.matrix)
        chosen = selection(binnings, model.fitted.sources, plan.preparation) if binnings else None
    await keep_both(job, Product(packed, known, kept, record, chosen))


async def make_task(job: PartyJob, plan: TrainPlan, prepared: Prepared, own: Matched, other: int) -> Task:
    """This party's part of the training, with the warnings it comes with. other: the other's number of columns."""
    task = await asyncio.to_thread(learner_of(plan.model).task, plan.model, prepared, own, other, job.scratch)
    job.warn(*task.warnings)
    return task


async def tell_scores(job: PartyJob, plan: TrainPlan, made: Made, rival: Half | None) -> Heard | None:
    """Scores of held-out rows to the bank, and the champion's if the plan challenges it; None at the grid."""
    held = made.held()

    async def tell(model: Half, number: int) -> Reals | None:
        telling = Telling(Kind.TEST_SCORES, plan.score_bits, number)
        return await open_scores(job.session, job.correlations, model, held, telling, job.budget(model))

    u = await tell(made.model, 0)
    champion_u = await tell(rival, 1) if rival is not None else None
    return None if u is None else Heard(u, rival.job if rival is not None else None, champion_u)


async def run_scoring(job: PartyJob, plan: ScorePlan) -> None:
    """Load, align, score; the bank decides and writes it down."""
    with job.stage(Stage.LOAD):
        model = line_of(job.home.models.load(await resolve(job.session, job.registry, plan.model)), job.bank)
        check_dealer(job, plan, model)
        dealt = not (job.direct or plan.undealt)
        check_reasons(plan.grid_reasons, model, dealt=dealt, on_request=bool(plan.on_request))
        job.role.before_scoring(model)
        read = await asyncio.to_thread(stamp_of, job.dataset.path)
        if plan.on_request:
            loaded = await load(job, require_label=False, columns=model.source)
        else:
            loaded, _ = await load_checked(job, require_label=False, columns=model.source)
    if not plan.on_request:
        with job.stage(Stage.ALIGN):
            matched = await align_scoring(job, plan, loaded.table)
            table = await asyncio.to_thread(loaded.table.move, matched, job.scratch)
            del matched
    with job.stage(Stage.SCORE):
        named = None
        if plan.on_request:
            rows = await asyncio.to_thread(loaded.table.abreast, job.scratch)
            table, u, named = await serve_requests(job, plan, model, rows, read)
            del rows
        else:
            u = await tell_asked(job, plan, model, table)
        del loaded
        if not table.rows:  # nothing was asked for
            return
        if plan.grid_reasons and not plan.on_request:
            texts = job.role.reasons(job, model)
            named = await open_reasons(job.session, job.correlations, model, table, texts, plan.grid_reasons)
        if not plan.on_request:
            await job.session.compare()
        await job.role.scored(job, model, table, u, named)
    with job.stage(Stage.WATCH):
        home, folder = job.home, job.home.models.folder(model.job)
        readings = await asyncio.to_thread(watch, job.id, model.job, folder, home.history, home.monitor, table, u)
        if readings is None:
            job.warn(
                said := f"model {model.job} was trained before distributions were kept: its drift cannot be told", public=said
            )
        elif plan.drift and (heard := told(readings, home.monitor, home.policy.min_matched)) is not None:
            job.session.open(Opened.DRIFT)
            job.outcome.drift = heard


def check_dealer(job: PartyJob, plan: ScorePlan, model: Half) -> None:
    """A model that nobody holds scores with a dealer, or without, as it was trained: its shares are of one kind.

    Raises PlanError for a plan of the other kind, PolicyError where this party does not allow to score without.
    """
    undealt = scored_undealt(model)
    if undealt is None:
        return
    if plan.undealt and not undealt:
        raise PlanError(
            f"nobody holds model {model.job}: scores by it take masks that are dealt",
            remedy="Leave out dealer = 'none', or train a model with dealer = 'none' or reveal = 'owners'.",
        )
    if undealt and not plan.undealt:
        raise PlanError(
            f"nobody holds model {model.job}, which was trained with nobody who deals: it scores so alone",
            remedy="Set dealer = 'none' and matching = 'ecdh', for matched rows, dealt online.",
        )
    if undealt and not job.home.policy.no_dealer:
        raise not_allowed(["dealer = 'none' for a model that nobody holds (no_dealer = false)"])


async def tell_asked(job: PartyJob, plan: ScorePlan, model: Half, table: FeatureTable) -> Reals | None:
    """Scores of the rows asked for to the bank, with a stock if the plan says so and the model needs one; None at the grid."""
    telling = Telling(Kind.SCORES, plan.score_bits)
    await job.session.compute(lambda: job.check_scores(table, model), table.rows * 64)
    await agree_to_charge(job.session)
    # Of a stock that is not used up yet.
    await to_the_end(job.session.compute(lambda: job.charge_scores(table, model), table.rows * 64))
    if plan.dealt == "online" or not model.closed or job.course.again:  # its stock may be spent
        return await open_scores(job.session, job.correlations, model, table, telling, None)
    with_stock = job.session, job.shelf, job.home.key, model, table.rows, telling.bits
    async with scores_ahead(*with_stock, otherwise=otherwise(job)) as (correlations, label):
        telling = telling if label is None else replace(telling, dealt=label.rows)
        return await open_scores(job.session, correlations, model, table, telling, None)


def otherwise(job: PartyJob) -> Otherwise | None:
    """What a job takes where others have all stocks that fit: what is dealt now. None for one that nobody deals for."""

    def taken() -> Correlations:
        job.warn(_IN_USE, public=_IN_USE)
        return job.correlations

    return None if job.direct else taken


async def load_checked(
    job: PartyJob, *, require_label: bool, columns: dict[str, ColumnConfig] | None = None
) -> tuple[Loaded, str]:
    """As `load`, and the SHA-256 of what was read. Raises DataError as `check_data` does, and where it changes meanwhile."""
    with unchanged(job.dataset.path, f"dataset {job.plan.side(job.party).dataset}"):
        return await load(job, require_label=require_label, columns=columns), await check_data(job)


async def load(job: PartyJob, *, require_label: bool, columns: dict[str, ColumnConfig] | None = None) -> Loaded:
    """This party's dataset, with the columns the plan asks for, or those a model was trained on, read as they were then."""
    side = job.plan.side(job.party)
    dataset = job.dataset
    if columns is None and not dataset.columns and side.columns != ("*",):
        columns = await asyncio.to_thread(infer_columns, dataset)
    if columns is not None:
        dataset = dataset.model_copy(update={"columns": columns})
    if not isinstance(job.plan, ScorePlan):
        dataset = select(dataset, side.columns, side.dataset)
        await asyncio.to_thread(check_width, job.plan, dataset, job.party, side.dataset)
    loaded = await asyncio.to_thread(
        read_table, dataset, name=side.dataset, party=job.party, require_label=require_label, scratch=job.scratch
    )
    if isinstance(job.plan, ScorePlan):
        loaded = await asyncio.to_thread(in_months, loaded, job.plan.months, name=side.dataset, scratch=job.scratch)
    else:
        loaded = await asyncio.to_thread(up_to, loaded, job.plan.until, name=side.dataset, scratch=job.scratch)
    if job.check_grant is not None:
        job.check_grant(loaded)
    if job.consents is not None:
        loaded = await asyncio.to_thread(job.consents.apply, loaded, job.scratch)
    job.warn(*loaded.warnings)
    job.note(*loaded.notes)
    job.count(own_rows=loaded.table.rows, own_columns=len(loaded.columns))
    return loaded


async def check_data(job: PartyJob) -> str:
    """The SHA-256 of the dataset. Raises DataError where it has changed since the job began, or is read in another way."""
    data = await asyncio.to_thread(fingerprint, job.dataset.path)
    now = {"the dataset's file": data, "how it is read": job.dataset.model_dump_json(), "the software": __version__}
    if job.consents is not None:
        now["who has authorised its use"] = job.consents.fingerprint()
    first = await job.course.first(now)
    if changed := [name for name, value in now.items() if first.get(name) != value]:
        text = f"{changed[0]} has changed since this job began"
        raise DataError(text, public=text, remedy="Submit it again.")
    return data


async def align_training(job: PartyJob, plan: TrainPlan, table: FeatureTable) -> tuple[Index, split.Mask]:
    """The places of the rows that both hold, in an order both know, and which of these are held out."""
    if (kept := job.course.at(Point.ALIGNED)) is not None:
        return restore_rows(job, *kept), kept[0]["test"].astype(np.bool_)
    matched = await align_rows(job, table, max(plan.limits.min_matched, job.home.policy.min_matched))
    job.give_back()
    keys = table.keys(matched)
    await asyncio.to_thread(job.home.sets.enter, keys, job.id, job.home.policy.least_difference)
    job.give_back()
    test = await split.agree(job.session, keys, plan.split, partial(job.role.check_labels, job))
    await keep_rows(job, matched=matched, test=test)
    return matched, test


async def align_scoring(job: PartyJob, plan: ScorePlan, table: FeatureTable) -> Index:
    """The places of the rows that both hold, in an order both know."""
    if (kept := job.course.at(Point.ALIGNED)) is not None:
        return restore_rows(job, *kept)
    matched = await align_rows(job, table, plan.min_matched)
    await keep_rows(job, matched=matched)
    return matched


async def keep_rows(job: PartyJob, **arrays: Array) -> None:
    """Keeps the order of rows, and what was counted and warned of by now."""
    await keep_point(job, Point.ALIGNED, arrays, {})


def restore_rows(job: PartyJob, arrays: dict[str, Array], facts: dict[str, Any]) -> Index:
    """The order that was kept, with what goes with it."""
    restore(job, facts)
    return arrays["matched"]


async def keep_point(job: Told, point: Point, arrays: dict[str, Array], facts: dict[str, Any]) -> None:
    """Keeps these, and what was counted and warned of by now."""
    said = [job.outcome.warnings, job.outcome.public_warnings, job.outcome.notes]
    await job.course.keep(point, arrays, facts={**facts, "counts": job.outcome.counts, "warned": said})


def restore(job: Told, facts: dict[str, Any]) -> None:
    """What was counted and warned of up to a point that was kept."""
    job.count(**facts["counts"])
    job.outcome.warnings, job.outcome.public_warnings, job.outcome.notes = facts["warned"]


async def align_rows(job: PartyJob, table: FeatureTable, min_matched: int) -> Index:
    """The places of the rows of `table` that both hold, in the same order on both sides."""
    by_period = "period" in job.plan.keys
    limits = MatchLimits(max_ids=job.home.policy.max_ids, min_matched=min_matched)
    alone = job.direct or job.plan.undealt
    among = partial(align_directly, job.session) if alone else partial(align, job.session, job.correlations)
    matched, enterprises = await among(table, by_period=by_period, domain=job.id.encode(), limits=limits, match=job.match)
    job.count(matched_ids=enterprises, matched_rows=len(matched))
    if said := await asyncio.to_thread(unlike, table, matched):
        job.warn(said)
    return matched


async def bin_own_columns(
    job: PartyJob, plan: TrainPlan, columns: dict[str, ColumnConfig], table: FeatureTable, train_rows: int
) -> list[Binning]:
    """This party's columns in bins, where the plan codes them so; none otherwise."""
    if plan.preparation.coding in ("linear", "auto"):
        return []

    def charge(rows: FeatureTable, bits: float) -> None:
        job.role.charge_labels(rows, job.id, "counts by bin", bits)
        job.charged("label_bits", rows.rows)

    allowance = Allowance(plan.limits.rows_per_column, charge)
    binnings = await bin_columns(job.session, job.correlations, table, columns, plan.preparation, train_rows, allowance)
    job.warn(*(f"left out {b.cells.source!r}: {b.left_out}" for b in binnings if b.left_out))
    return binnings


async def prepare(job: PartyJob, plan: TrainPlan, own: Matched) -> tuple[Prepared, int]:
    """This party's matched rows, prepared by itself, and the other's number of columns, which together the rows can train.

    Neither knows how many lines the other has: where pieces are too many for both, both do without them.
    """
    learner, largest, rows = learner_of(plan.model), job.home.policy.largest_leverage, own.train_rows
    prepared, warnings = await asyncio.to_thread(learner.prepare, plan.model, own, plan.preparation, largest)
    other = await exchange_sizes(job.session, own.table.rows, rows, len(prepared.columns))
    if plan.preparation.coding == "auto" and too_few(rows, len(prepared.columns) + other, plan.limits):
        lines = replace(own, room=0)
        prepared, warnings = await asyncio.to_thread(learner.prepare, plan.model, lines, plan.preparation, largest)
        other = await exchange_sizes(job.session, own.table.rows, rows, len(prepared.columns))
    check_sizes(rows, len(prepared.columns) + other, plan.limits)
    declared = [name for name, column in own.columns.items() if column.monotone is not None]
    if declared and not hasattr(plan.model, "monotone"):
        warnings = [*warnings, f"boosted trees alone keep to the direction declared of {', '.join(map(repr, declared))}"]
    job.warn(*warnings)
    return prepared, other


def about(job: PartyJob, data: str) -> dict[str, Any]:
    """Facts of a model for its reviewer: which plan, which data (its SHA-256), which software, which warnings."""
    return {
        "plan_sha256": job.whole.digest().hex(),
        "plan": job.whole.canonical(),
        "dataset_sha256": data,
        "software": __version__,
        "warnings": job.outcome.warnings,
        "notes": job.outcome.notes,
        **({} if job.agreed is None else {"line": job.place}),
    }
