"""A job from end to end at one party. Both parties run this same code; read it top to bottom."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bank_party.decision import bundle
from bank_party.decision.bundle import HeldOut
from bank_party.decision.decide import decide, make_rules
from bank_party.decision.scores import write_scores
from bank_party.judge import challenge, converged
from bank_party.judge import evaluation as quality
from bank_party.judge.challenge import compare, find_champion
from bank_party.judge.refit import refit
from common import __version__
from common.disclosure import Opened
from common.disk.scratch import Scratch
from common.errors import PolicyError
from common.features.binning import Binning, binned_columns
from common.features.selection import selection
from common.home.home import Home, Outcome
from common.home.record import Record, Seen, make_record, save_record
from common.home.rowbook import Ledger
from common.learn.linear.design import Prepared, agree_on_sizes, prepare
from common.learn.linear.half import Packed, PartyModel, linear_scores, pack
from common.learn.linear.train import train
from common.match.ecdh import Match, MatchLimits, match_ids
from common.monitor import reference
from common.mpc.correlations import Correlations
from common.mpc.product import Rows
from common.mpc.session import Kind, Reporter, Session
from common.party import Party
from common.plan.plans import ScorePlan, TrainPlan
from common.rows.dataset import ColumnConfig, DatasetConfig, Loaded, fingerprint, infer_columns, read_table
from common.rows.table import FeatureTable, Index
from common.stages import split
from common.stages.ahead import train_ahead
from common.stages.align import align
from common.stages.champion import as_words, resolve
from common.stages.counts import Allowance, bin_columns
from common.stages.offer import check_batch, select
from common.stages.reasons import open_reasons
from common.stages.score import open_scores
from common.stages.watch import told, watch

_log = logging.getLogger(__name__)


class StageReporter(Reporter, Protocol):
    def stage(self, name: str) -> None: ...

    def rows(self, count: int) -> None: ...


@dataclass
class PartyJob:
    """One job at one party: its plan, its session, its dealt randomness, its own dataset."""

    id: str
    plan: TrainPlan | ScorePlan
    dataset: DatasetConfig
    session: Session
    correlations: Correlations
    reporter: StageReporter
    home: Home
    scratch: Scratch = field(default_factory=Scratch)
    match: Match = match_ids
    outcome: Outcome = field(default_factory=Outcome)
    _stage: str = ""

    @property
    def party(self) -> Party:
        return self.session.party

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.reporter.stage(name)
        self._stage = name
        start, rounds = time.monotonic(), self.session.traffic.rounds
        yield
        self.outcome.seconds[name] = time.monotonic() - start
        self.outcome.rounds[name] = self.session.traffic.rounds - rounds

    def warn(self, *texts: str, public: str | None = None) -> None:
        """Tells this party's log; others hear `public`, by default only that there is something to read there."""
        if texts:
            heard = public or f"{len(texts)} warning(s) while in stage {self._stage!r}: see the log of the {self.party.value}"
            for text in texts:
                _log.warning("job %s: %s", self.id, text, extra={"public": f"job {self.id}: {heard}"})
            self.outcome.warnings.extend(texts)
            self.outcome.public_warnings.append(heard)
            self.reporter.warn(heard)

    def count(self, **counts: int) -> None:
        """Keeps counts for the report; the last one given of rows is what progress shows."""
        self.session.open(Opened.COUNTS)
        for name in ("train_rows", "matched_rows", "own_rows"):
            if name in counts:
                self.reporter.rows(counts[name])
                break
        self.outcome.counts.update(counts)


async def run(job: PartyJob) -> Outcome:
    """The whole of a job; raises the first error, after which nothing of it is kept."""
    await (run_training(job, job.plan) if isinstance(job.plan, TrainPlan) else run_scoring(job, job.plan))
    job.outcome.opened = sorted(o.value for o in job.session.opened)
    return job.outcome


async def run_training(job: PartyJob, plan: TrainPlan) -> None:
    """Load, align, prepare, train, reveal, evaluate."""
    with job.stage("load"):
        loaded = await load(job, require_label=job.party is Party.BANK)
        data = await asyncio.to_thread(fingerprint, job.dataset.path)
    with job.stage("align"):
        matched = await align_rows(job, loaded.table, max(plan.limits.min_matched, job.home.policy.min_matched))
        test = await split.agree(job.session, loaded.table.keys(matched), plan.split, plan.limits)
        order, rows = matched[np.argsort(test, kind="stable")], len(test) - int(test.sum())
        table, columns = await asyncio.to_thread(loaded.table.take, order, job.scratch), loaded.columns
        del loaded, matched, test, order
    with job.stage("prepare"):
        binnings = await bin_own_columns(job, plan, columns, table, rows)
        prepared = await prepare_columns(job, plan, columns, table, rows, binnings)
        other = await agree_on_sizes(job.session, table.rows, rows, len(prepared.columns), plan.limits)
        check_column_count(job, len(prepared.columns))
        rival = await find_champion(job.session, job.home.registry, job.home.models, columns) if plan.challenge else None
        if plan.challenge and rival is None:
            job.warn("the plan challenges the champion, and there is none yet")
        await check_budget(job, table, rows, len(prepared.columns), rival)
        check_batch(plan, rows, len(prepared.columns) + other)
        job.count(train_rows=rows, test_rows=table.rows - rows, trained_columns=len(prepared.columns))
    with job.stage("train"):
        steps = plan.model.steps(rows)
        words, ridge, warnings = await asyncio.to_thread(prepared.encoded, rows, plan.model.ridge, steps[0].size, job.scratch)
        job.warn(*warnings)
        label = table.label[:rows] if table.label is not None else None
        inputs = (plan.model, words, ridge, other, label, prepared.start(label))
        if plan.dealt == "ahead":
            whitened = await train_ahead(job.session, job.home.stocks, *inputs, job.scratch)
        else:
            whitened = await train(job.session, job.correlations, *inputs, job.scratch)
        job.count(iterations=len(steps))
    with job.stage("reveal"):
        weights = prepared.whiten @ whitened
        model = PartyModel(job.id, job.party, prepared.fitted, weights, columns, about(job, data))
    with job.stage("evaluate"):
        held = await evaluate(job, plan, model, prepared, words, table, rows)
        if rival is not None:
            await challenge_champion(job, plan, rival, held, table.part(rows, table.rows))
        known = await asyncio.to_thread(reference.describe, table, rows, held.u_joint if held else None)
        packed = pack(model)
        refits = await asyncio.to_thread(
            refit, model, held, lambda low, high: prepared.matrix(rows + low, rows + high), plan.model.ridge
        )
        seen = Seen(job.outcome.counts, job.outcome.seconds, tuple(sorted(o.value for o in job.session.opened)))
        record = await asyncio.to_thread(make_record, model, table, rows, seen, refits)
        chosen = selection(binnings, model.fitted.sources, plan.preparation) if binnings else None
        theirs = await job.session.exchange(Kind.REGISTRY, as_words(bytes.fromhex(packed.digest)))  # both are through
    # The other party keeps its half now: a job that is stopped meanwhile must not leave this one without.
    await asyncio.shield(asyncio.to_thread(keep, job, packed, theirs.tobytes().hex(), known, held, record, chosen))


def keep(
    job: PartyJob,
    packed: Packed,
    peer_digest: str,
    known: reference.Reference,
    held: HeldOut | None,
    record: Record,
    chosen: Any,
) -> None:
    """What a training leaves behind, once all of it is made: the model after what stands beside it."""
    folder = job.home.models.folder(job.id)
    save_record(record, folder)
    if chosen is not None:
        job.home.models.attach(job.id, "features.json", chosen)
    if held is not None:
        bundle.save(held, folder)
    if job.outcome.challenge is not None:
        challenge.save(job.outcome.challenge, folder)
    reference.save(known, folder)
    job.outcome.model_digest = job.home.models.write(job.id, packed)
    job.home.registry.enter(job.id, packed.digest, peer_digest, job.plan.digest().hex())


async def run_scoring(job: PartyJob, plan: ScorePlan) -> None:
    """Load, align, score; the bank decides and writes it down."""
    with job.stage("load"):
        model = job.home.models.load(await resolve(job.session, job.home.registry, plan.model))
        rules = bundle.load_decision(model.job, job.home.models.folder(model.job)) if job.party is Party.BANK else None
        loaded = await load(job, require_label=False, columns=model.source)
    with job.stage("align"):
        rows = await align_rows(job, loaded.table, plan.min_matched)
        table = await asyncio.to_thread(loaded.table.take, rows, job.scratch)
        del loaded, rows
    with job.stage("score"):
        u = await open_scores(job.session, model, table, Kind.SCORES, plan.score_bits, book(job, len(model.weights)))
        named = None
        if plan.grid_reasons:
            texts = {name: job.dataset.columns.get(name, column).reason for name, column in model.source.items()}
            if job.party is Party.GRID and not any(texts.values()):
                job.warn("the plan asks for reasons, and no column of this dataset declares one: none are told")
            threshold = job.home.policy.reason_threshold
            named = await open_reasons(job.session, model, table, texts, plan.grid_reasons, threshold)
        if u is not None and rules is not None:
            decided = await asyncio.to_thread(decide, rules, job.home.decision, model, table, u, named)
            await asyncio.to_thread(write_scores, job.home.scores_of(job.id), table, decided)
            job.home.history.enter_scores(job.id, model.job, job.home.scores_of(job.id))
    with job.stage("watch"):
        home, folder = job.home, job.home.models.folder(model.job)
        readings = await asyncio.to_thread(watch, job.id, model.job, folder, home.history, home.monitor, table, u)
        if readings is None:
            job.warn(f"model {model.job} was trained before distributions were kept: its drift cannot be told")
        elif plan.drift and (heard := told(readings, home.monitor, home.policy.min_matched)) is not None:
            job.session.open(Opened.DRIFT)
            job.outcome.drift = heard


async def load(job: PartyJob, *, require_label: bool, columns: dict[str, ColumnConfig] | None = None) -> Loaded:
    """This party's dataset, with the columns the plan asks for, or those a model was trained on, read as they were then."""
    side = job.plan.side(job.party)
    dataset = job.dataset
    if columns is None and not dataset.columns and side.columns != ("*",):
        columns = await asyncio.to_thread(
            infer_columns, dataset.path, dataset.format, dataset.id, dataset.period, dataset.label
        )
    if columns is not None:
        dataset = dataset.model_copy(update={"columns": columns})
    if not isinstance(job.plan, ScorePlan):
        dataset = select(dataset, side.columns, side.dataset)
    loaded = await asyncio.to_thread(
        read_table, dataset, name=side.dataset, party=job.party, require_label=require_label, scratch=job.scratch
    )
    job.warn(*loaded.warnings)
    job.count(own_rows=loaded.table.rows, own_columns=len(loaded.columns))
    return loaded


async def align_rows(job: PartyJob, table: FeatureTable, min_matched: int) -> Index:
    """The rows of `table` that both hold, in the same order on both sides."""
    by_period = "period" in job.plan.keys
    limits = MatchLimits(max_ids=job.home.policy.max_ids, min_matched=min_matched)
    rows, enterprises = await align(
        job.session, job.correlations, table, by_period=by_period, domain=job.id.encode(), limits=limits, match=job.match
    )
    job.count(matched_ids=enterprises, matched_rows=len(rows))
    return rows


async def bin_own_columns(
    job: PartyJob, plan: TrainPlan, columns: dict[str, ColumnConfig], table: FeatureTable, rows: int
) -> list[Binning]:
    """This party's columns in bins, where the plan codes them so; none otherwise."""
    if plan.preparation.coding == "linear":
        return []
    limit = job.home.policy.counts_per_row
    allowance = Allowance(plan.limits.rows_per_column, lambda counted: job.home.counted.charge(counted, job.id, limit))
    binnings = await bin_columns(job.session, job.correlations, table, columns, plan.preparation, rows, allowance)
    job.warn(*(f"left out {b.cells.source!r}: {b.left_out}" for b in binnings if b.left_out))
    return binnings


async def prepare_columns(
    job: PartyJob,
    plan: TrainPlan,
    columns: dict[str, ColumnConfig],
    table: FeatureTable,
    rows: int,
    binnings: list[Binning],
) -> Prepared:
    ridge, options = plan.model.ridge, plan.preparation
    binned = binned_columns(binnings, options)
    prepared, warnings = await asyncio.to_thread(prepare, table, columns, options, rows, ridge, job.party, binned)
    job.warn(*warnings)
    return prepared


def check_column_count(job: PartyJob, columns: int) -> None:
    """A joint score is one equation in the grid's columns: with very few, it is the columns."""
    if job.party is Party.GRID and columns < job.home.policy.min_columns:
        raise PolicyError(
            f"{columns} trained columns of the grid are too few: the joint score would tell them",
            expected=f"at least {job.home.policy.min_columns}",
            got=columns,
            remedy="Train on more of the grid's columns.",
        )


def about(job: PartyJob, data: str) -> dict[str, Any]:
    """What a reviewer needs to know of a model: which plan, which data (its SHA-256), which software, which warnings."""
    return {
        "plan_sha256": job.plan.digest().hex(),
        "plan": job.plan.canonical(),
        "dataset_sha256": data,
        "software": __version__,
        "warnings": job.outcome.warnings,
    }


async def evaluate(
    job: PartyJob, plan: TrainPlan, model: PartyModel, prepared: Prepared, words: Rows, table: FeatureTable, rows: int
) -> HeldOut | None:
    """Held-out scores to the bank, which measures them beside its own columns alone and makes its decision rules of them."""
    held = table.part(rows, table.rows)
    u = await open_scores(job.session, model, held, Kind.TEST_SCORES, plan.score_bits, book(job, len(model.weights)))
    if u is None or table.label is None:
        return None
    job.session.open(Opened.METRICS)
    own, errors = await asyncio.to_thread(quality.bank_only, prepared, words, table.label, plan.model.ridge)
    alone = linear_scores(lambda low, high: prepared.matrix(rows + low, rows + high), held.rows, own)
    result = await asyncio.to_thread(quality.evaluate, u, alone, table.label[rows:])
    job.outcome.evaluation = result
    if (warning := quality.reach_warning(result.largest_u, plan.model.make_link().reach)) is not None:
        job.warn(warning, public=warning)
    if (warning := converged.convergence_warning(u, table.label[rows:], plan.model.link)) is not None:
        job.warn(warning, public=converged.PUBLIC)
    bank_only = (own, errors, alone)
    made, warnings = await asyncio.to_thread(
        make_rules, job.home.decision, model, prepared, rows, u, bank_only, seed=plan.split.seed
    )
    job.warn(*warnings)
    return made


def book(job: PartyJob, columns: int) -> tuple[Ledger, int]:
    """The grid's ledger and how many models of `columns` columns may score a row."""
    return job.home.ledger, min(job.home.policy.scores_per_row, max(1, columns // 2))


async def challenge_champion(
    job: PartyJob, plan: TrainPlan, rival: PartyModel, held: HeldOut | None, table: FeatureTable
) -> None:
    """The champion's scores of the held-out rows, to the bank, which measures both models on them."""
    u = await open_scores(job.session, rival, table, Kind.TEST_SCORES, plan.score_bits, book(job, len(rival.weights)))
    if u is not None and held is not None:
        job.outcome.challenge = await asyncio.to_thread(compare, rival.job, held.label, held.u_joint, u)


async def check_budget(job: PartyJob, table: FeatureTable, rows: int, columns: int, rival: PartyModel | None) -> None:
    """Before anything is trained: may the held-out rows be scored by one more model, or by the champion after that?"""
    if job.party is Party.GRID:
        ledger, limit = book(job, columns)
        held = table.keys(slice(rows, None))
        await asyncio.to_thread(ledger.check, held, job.id, limit)
        if rival is not None:
            ledger, limit = book(job, len(rival.weights))
            await asyncio.to_thread(ledger.check, held, rival.job, limit - 1)
