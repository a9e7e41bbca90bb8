"""A job as a party holds it, and the role in which it does: what one side does alone, around what both say to each other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from common.disclosure import Opened
from common.disk.book import committed_together, once_committed, written_aside
from common.disk.scratch import Scratch
from common.home.home import Home
from common.home.outcome import Challenge, Outcome
from common.home.rates import Counted
from common.home.record import Refit
from common.home.registry import Registry
from common.home.rowsets import FEW
from common.home.stocks import Stocks
from common.learn.learner import Half, Prepared, Size, Task
from common.match.agree import Match
from common.mpc.beside import to_the_end
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Reporter, Session
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.promote import PromotePlan
from common.plan.request import Request
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.process.memory import give_memory_back
from common.rows.consent import Consents
from common.rows.dataset import DatasetConfig, Loaded
from common.rows.table import FeatureTable
from common.stages.course import Course
from common.stages.desk import Desk, Requests
from common.stages.rated import Rated
from common.stages.reasons import Named, Texts
from common.stages.score import Budget, Noted
from common.stages.split import Mask
from common.stages.willing import agree_to_charge

_log = logging.getLogger(__name__)
_MANY = 1 << 20  # rows, from which on a step leaves more memory behind than it takes time to give back


class StageReporter(Reporter, Protocol):
    def stage(self, name: str) -> None: ...

    def rows(self, count: int) -> None: ...

    def expect(self, size: int) -> None:
        """Tells how many bytes, beyond those so far, a formula says will go over this side's links."""


@dataclass(frozen=True, repr=False)
class Beginning:
    """A training that is about to begin: ids and months of all matched rows, those that train first; this side's preparation.

    size: of the rows that train. champion: what the plan challenges, if there is one. told: what the training tells of the
    labels of its rows that its plan does not say, and so many bits in all. several: with other banks too.
    """

    rows: FeatureTable
    size: Size
    prepared: Prepared
    champion: Half | None
    told: tuple[tuple[str, float], ...] = ()
    several: bool = False

    def trained(self) -> FeatureTable:
        """The rows that train, by id and month."""
        return self.rows.keys(slice(0, self.size.rows))

    def held(self) -> FeatureTable:
        """Those that are held out."""
        return self.rows.keys(slice(self.size.rows, None))

    def scorings(self, job: str) -> list[str]:
        """The models that score those: the one of this job, then the champion."""
        return [job, *([] if self.champion is None else [self.champion.job])]


@dataclass(frozen=True, repr=False)
class Made:
    """The product of a training at one party: its half of the model, all matched rows prepared, the training rows first.

    task: its part of the training; table: all matched rows as loaded; train_rows: how many of them trained.
    """

    model: Half
    prepared: Prepared
    task: Task
    table: FeatureTable
    train_rows: int

    def held(self) -> FeatureTable:
        """The rows held out, in memory."""
        return self.table.part(self.train_rows, self.table.rows)

    def held_matrix(self, low: int, high: int) -> Reals:
        """Held-out rows low to high, prepared, float64 (high - low, m); at the bank the intercept last."""
        return self.prepared.matrix(self.train_rows + low, self.train_rows + high)


@dataclass(frozen=True, repr=False)
class Heard:
    """Log-odds of held-out rows, (n,), as the bank hears them: the model's, and the champion's if the plan challenges it."""

    u: Reals
    champion: str | None = None
    champion_u: Reals | None = None


def _nothing(folder: Path) -> None:
    del folder


@dataclass(frozen=True, repr=False)
class Kept:
    """Things a side keeps of a training beside the model: its coefficients fitted again, and files, once all else is made."""

    refits: tuple[Refit, ...] = ()
    save: Callable[[Path], None] = _nothing  # into the model's folder


Decider = Callable[[FeatureTable, Reals, Named | None], Mapping[str, Any]]
"""What follows from the scores u (n,) of rows and the grid's reasons, if any were asked for, by column, each (n,)."""


class Role(Protocol):
    """The part of a job that one side does alone. What the two say is in `stages`; a role is never asked in the middle of that.

    Its hooks exchange nothing with the other party. Both sides run them at the same places, though one may do nothing there.
    """

    @property
    def party(self) -> Party: ...

    def budget(self, model: Half, job: str, granted: int | None = None) -> Budget | None:
        """The account charged before scores of a model leave; at the bank none. granted: most models a row, of the grant."""

    def charge_labels(self, table: FeatureTable, job: str, what: str, bits: float, *, again: bool = True) -> None:
        """At the bank: before so many bits of the labels of these rows leave, whatever becomes of the job.

        again: whether it may be told something else if this job has told it before; else that costs nothing once more.
        Raises PolicyError when more of a row's label would have been told than the bank allows.
        """

    def tells(self, rows: FeatureTable, job: str, what: str, bits: float) -> bool:
        """At the bank: whether so many bits of metrics of these held-out rows may be told, which charges them, once a job."""

    def check_labels(self, job: PartyJob, table: FeatureTable, test: Mask) -> None:
        """At the bank: are there labels enough, where the rows of `test` (n,) are held out? Raises PolicyError where not."""

    async def check_training(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> None:
        """Raises PolicyError for what this side lets nobody be told, as `before_training` would; charges nothing."""

    async def before_training(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> None:
        """Charges what a training will tell, before anything is trained: all of it, or where one is refused nothing."""

    async def trained(self, job: PartyJob, plan: TrainPlan, made: Made, heard: Heard | None) -> Kept:
        """The after-care of a training that is through; heard: at the bank."""

    def before_scoring(self, model: Half) -> None:
        """Before any row is matched: raises an error where what follows could not be done."""

    def reasons(self, job: PartyJob, model: Half) -> Texts:
        """What may be told of this side's columns; nothing of the bank's is told to the grid."""

    async def scored(self, job: PartyJob, model: Half, table: FeatureTable, u: Reals | None, named: Named | None) -> None:
        """The after-care of rows that were scored; u and named: at the bank."""

    def decider(self, model: Half) -> Decider:
        """At the bank: what decides by this model. Raises JobNotFound or DataError unless its rules can be read."""

    def compare(self, plan: PromotePlan, candidate: str, champion: str) -> Challenge | None:
        """The candidate beside the champion. Raises PolicyError for one that is significantly worse."""


class Told:
    """The part of a job that others hear of: its stages, what was counted, warned of and opened."""

    id: str
    session: Session
    reporter: StageReporter
    outcome: Outcome
    course: Course
    _stage: str

    @property
    def party(self) -> Party:
        return self.session.party

    @property
    def opened(self) -> tuple[str, ...]:
        """The names of all that was opened by now, before an interruption too."""
        return tuple(sorted({value.value for value in self.session.opened} | self.course.earlier))

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        name = stage.value
        self.reporter.stage(name)
        self._stage = name
        start, rounds = time.monotonic(), self.session.traffic.rounds
        yield
        self.give_back()
        self.outcome.seconds[name] = time.monotonic() - start
        self.outcome.rounds[name] = self.session.traffic.rounds - rounds

    def give_back(self) -> None:
        """Gives back the memory that a step over many rows has left, before the next one takes its own."""
        if self.outcome.counts.get("own_rows", 0) > _MANY:
            give_memory_back()

    def warn(self, *texts: str, public: str | None = None) -> None:
        """Tells this party's log; others hear `public`, by default only that there is something to read there."""
        if texts:
            heard = public or f"{len(texts)} warning(s) while in stage {self._stage!r}: see the log of the {self.party.value}"
            for text in texts:
                _log.warning("job %s: %s", self.id, text, extra={"public": f"job {self.id}: {heard}"})
            self.outcome.warnings.extend(texts)
            self.outcome.public_warnings.append(heard)
            self.reporter.warn(heard)

    def warn_alone(self, text: str | None) -> None:
        """Tells this party's log, if there is anything to tell; others do not hear that there is."""
        if text is not None:
            _log.warning("job %s: %s", self.id, text, extra={"public": f"job {self.id}: 1 note(s)"})
            self.outcome.warnings.append(text)

    def note(self, *texts: str) -> None:
        """Tells this party's log, and nobody else."""
        for text in texts:
            _log.info("job %s: %s", self.id, text, extra={"public": f"job {self.id}: {len(texts)} note(s)"})
        self.outcome.notes.extend(texts)

    def count(self, **counts: int) -> None:
        """Keeps counts for the report; the last one given of rows is what progress shows."""
        self.session.open(Opened.COUNTS)
        for name in ("train_rows", "matched_rows", "own_rows"):
            if name in counts:
                self.reporter.rows(counts[name])
                break
        self.outcome.counts.update(counts)


@dataclass
class HubJob(Told):
    """A job of banks alone at who adds up for them: it has no rows, and its session is with all banks at once."""

    id: str
    session: Session
    reporter: StageReporter
    outcome: Outcome
    course: Course
    _stage: str = ""


@dataclass
class PartyJob(Told):
    """One job at one party: its plan, its session, its dealt randomness, its own dataset."""

    id: str
    plan: TrainPlan | ScorePlan
    dataset: DatasetConfig
    session: Session
    correlations: Correlations
    reporter: StageReporter
    home: Home
    role: Role
    match: Match
    scratch: Scratch = field(default_factory=Scratch)
    outcome: Outcome = field(default_factory=Outcome)
    _stage: str = ""
    course: Course = field(default_factory=Course)
    client: str = field(kw_only=True)  # the identity of who asked for it
    desk: Desk | None = field(default=None, kw_only=True)  # at the bank, of a job whose rows are asked for
    requests: Requests = field(default_factory=Requests, kw_only=True)  # and how many there were
    direct: bool = field(default=False, kw_only=True)  # asked for by the bank itself: there is no coordinator, and no dealer
    agreed: Request | None = None  # the plan as it was agreed on, where `plan` is what the grid and one of its banks do of it
    place: int = 0  # of that bank in it
    check_grant: Callable[[Loaded], None] | None = None  # raises PolicyError for a table that no grant covers
    scores_per_row: int | None = None  # of the grant of this dataset: most models that may score a row
    consents: Consents | None = None  # of the enterprises whose rows may be in it; None: nobody has to agree
    bank: str = ""  # the bank's identity
    chain: str = ""  # of the registry's moves, at a grid of several banks: none with the first

    @property
    def whole(self) -> Request:
        """The plan as all agreed on it."""
        return self.plan if self.agreed is None else self.agreed

    @property
    def registry(self) -> Registry:
        """This party's models, and the moves of the champion that it made with the other one."""
        return self.home.registry.of(self.chain)

    @property
    def shelf(self) -> Stocks:
        """The stocks that it may take, each entered in the audit log before it is spent."""
        return self.home.stocks.of(self.chain).entering(partial(self.home.bind, self.id))

    def budget(self, model: Half) -> Budget | None:
        """The account of what this attempt at the job tells by `model`: the bank's columns may have been others before."""
        found = self.role.budget(model, self.course.telling(self.id), self.scores_per_row)
        return None if found is None else Noted(found, partial(self.charged, "scores_per_row"))

    def charged(self, key: str, rows: int) -> None:
        """Notes what the job has been charged for. key: the limit, as the policy names it."""
        self.home.charged(self.id, key, rows)

    async def rate(self, rows: FeatureTable, model: str) -> None:
        """Counts these rows as scored by `model` for this client. Raises PolicyError for more than it may have in a day."""

        def enter() -> None:
            with committed_together():
                self._enter_rate(rows, model)

        await to_the_end(self.session.compute(enter, rows.rows * 64))

    async def rate_ahead(self, rows: FeatureTable, model: str) -> Rated:
        """As `rate`, of rows that are about to be asked for one by one: entered, and on disk once `Rated.kept` has come."""
        counted, kept = await written_aside(partial(self._enter_rate, rows, model), few=rows.rows <= FEW)
        return Rated(self._give_rate_back, counted, kept)

    def _give_rate_back(self, counted: Counted, rows: FeatureTable) -> None:
        """Rows that came to nothing count no more."""
        gone = self.home.rates.give_back(counted, rows)
        once_committed(partial(self.charged, "rows_per_day", -gone))

    def _enter_rate(self, rows: FeatureTable, model: str, allowed: Callable[[], None] = lambda: None) -> Counted:
        """allowed: called once nothing but it refuses; where it raises, none counts."""

        def may() -> None:
            once_committed(partial(self.charged, "rows_per_day", rows.rows))
            allowed()

        return self.home.rates.charge(self.client, rows, model, self.home.policy, may)

    def check_rate(self, rows: FeatureTable, *models: str) -> None:
        """Raises PolicyError if `rate` would for one of these models; nothing is counted."""
        self.home.rates.check(self.client, rows, models, self.home.policy)

    def check_scores(self, rows: FeatureTable, model: Half) -> None:
        """Raises PolicyError if `charge_scores` would; nothing is counted."""
        self.check_rate(rows, model.job)
        if (budget := self.budget(model)) is not None:
            budget.check(rows, model.job)

    def charge_scores(self, rows: FeatureTable, model: Half) -> None:
        """Counts rows that `model` is to score, and charges the account of what that tells: both, on disk, or neither.

        Raises PolicyError where either refuses.
        """
        with committed_together():
            self._charge_scores(rows, model)

    async def charge_ahead(self, rows: FeatureTable, model: Half) -> asyncio.Future[None]:
        """As `charge_scores`, of rows that are asked for one by one (see `Budget.charge`): entered; done once it is on disk."""
        return (await written_aside(partial(self._charge_scores, rows, model, asked=True), few=rows.rows <= FEW))[1]

    def _charge_scores(self, rows: FeatureTable, model: Half, *, asked: bool = False) -> None:
        budget = self.budget(model)
        charge = (lambda: None) if budget is None else partial(budget.charge, rows, model.job, asked=asked)
        self._enter_rate(rows, model.job, charge)

    async def charge_training(self, plan: TrainPlan, beginning: Beginning) -> None:
        """Charges what a training will tell, and counts the rows that it holds out, as scored by each model that scores them.

        Once the other party has said that it can, too. The client's rates are charged last, on this side.
        """
        await self.check_training(plan, beginning)
        await agree_to_charge(self.session)
        await self.role.before_training(self, plan, beginning)
        held = beginning.held()
        for scoring in beginning.scorings(self.id):
            await self.rate(held, scoring)

    async def check_training(self, plan: TrainPlan, beginning: Beginning) -> None:
        """Raises PolicyError for what the client's rates, or this side's budgets, refuse of it; nothing is charged."""
        held, scorings = beginning.held(), beginning.scorings(self.id)
        await self.session.compute(lambda: self.check_rate(held, *scorings), held.rows * 64)
        await self.role.check_training(self, plan, beginning)
