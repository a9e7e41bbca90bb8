"""Runs offered jobs at one party: looks at the offer, meets the other party, runs the pipeline, reports."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from prometheus_client import CollectorRegistry

from common.daemon.account import Account
from common.daemon.answers import Answers
from common.daemon.matching import choose_match
from common.daemon.meet import Meeting
from common.daemon.outcome import ProgressReporter, to_message
from common.daemon.refusals import Refusals
from common.daemon.settings import PartySettings
from common.disk.folder import Name
from common.disk.refused import refused
from common.disk.scratch import Scratch
from common.errors import (
    IdentityError,
    JobCancelled,
    JobStateError,
    LocalProtocolError,
    PeerProtocolError,
    WattScoreError,
)
from common.home.audit import AuditLog, What
from common.home.home import Home
from common.home.jobbook import Offered
from common.home.models import is_job_name
from common.home.outcome import Outcome
from common.learn.dealings import MESSAGES
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer, take_seed
from common.mpc.prg import Prg
from common.mpc.seeds import fresh_nonce
from common.mpc.session import Openings, Session, Way
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.request import Plan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.process.metrics import JobWatch, PartyMetrics
from common.rows.featurefile import declared
from common.stages.job import Desk, PartyJob, Role
from common.stages.offer import check_direct, check_offer
from common.stages.pipeline import run
from common.stages.predeal import predeal
from common.stages.promote import promote
from common.stages.seeds import agree_on_seeds
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.methods import DEAL
from common.wire.peer import Counter, DealerChannel, FrameChannel
from common.wire.status import from_fault, to_fault

_log = logging.getLogger(__name__)

Send = Callable[[wire.FromParty], Awaitable[None]]
_Dealt = tuple[DealerChannel, bytes]


@dataclass
class _Running:
    """A job this party has accepted."""

    plan: AnyPlan
    client: str
    watch: JobWatch
    task: asyncio.Task[None] | None = None
    cause: WattScoreError | None = None  # why it was told to stop
    session: Session | None = None
    entered: bool = False  # its end is in the audit log
    direct: bool = False  # no coordinator has offered it
    peer: Counter = field(default_factory=Counter)
    coordinator: Counter = field(default_factory=Counter)


class Runner:
    """The jobs of one party. `send` delivers messages to the coordinator."""

    def __init__(
        self,
        role: Role,
        settings: PartySettings,
        home: Home,
        meeting: Meeting,
        coordinator: Connection | None,
        metrics: PartyMetrics | None = None,
        desk: Desk | None = None,
    ) -> None:
        """coordinator, desk: None, and what rows are asked at, at a process that runs only what it asks for itself."""
        self._desk = desk
        self._metrics = metrics or PartyMetrics(CollectorRegistry())
        self.party, self._role, self._settings, self._home = role.party, role, settings, home
        self._meeting, self._coordinator = meeting, coordinator
        self._jobs: dict[str, _Running] = {}
        self._refusals = Refusals(home.audit)
        meeting.listen(self._asked_for)

    async def begin(self, job: str, plan: str, client: Identity, *, own: bool) -> tuple[asyncio.Task[None], Answers]:
        """A job that no coordinator offers, asked for by `client`: what runs it, and what is said of it.

        own: it is this party's, and the other has yet to be asked. Raises what it is refused for.
        """
        answers = Answers()
        offer = wire.Offer(job=job, plan=plan, client=str(client))
        await self._offered(offer, answers, direct=True, ask=plan if own else "")
        answers.check()
        self._start(job, answers)
        task = self._jobs[job].task
        assert task is not None  # noqa: S101
        return task, answers

    async def _asked_for(self, job: str, plan: str, client: Identity) -> None:
        await self.begin(job, plan, client, own=False)

    async def take(self, message: wire.ToParty, send: Send) -> None:
        """Acts on one message of the coordinator."""
        what = message.WhichOneof("message")
        if what == "offer":
            await self._offered(message.offer, send)
        elif what == "start":
            self._start(message.start.job, send)
        elif what == "stop":
            self.stop(message.stop.job, from_fault(message.stop.fault))

    def stop(self, job: str, cause: WattScoreError) -> None:
        """Ends a job if it is here; the other party hears why."""
        running = self._jobs.get(job)
        if running is None:
            return
        running.cause = cause
        if running.task is not None:
            # A task that is cancelled before its first step ends without a word: nobody would hear of the job again.
            asyncio.get_running_loop().call_soon(running.task.cancel)
        else:
            self._forget(job)

    async def stop_all(self, cause: WattScoreError, *, offered: bool = False) -> None:
        """Ends all jobs, or those that the coordinator has offered."""
        jobs = {job: running for job, running in self._jobs.items() if not (offered and running.direct)}
        tasks = [running.task for running in jobs.values() if running.task is not None]
        for job in jobs:
            self.stop(job, cause)
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        self._refusals.count()

    async def _offered(self, offer: wire.Offer, send: Send, *, direct: bool = False, ask: str = "") -> None:
        kind, asked, audit, told = "", Offered(offer.job), self._home.audit, None
        try:
            self._check_name(offer.job, "the other party" if direct else "the coordinator")
            plan = parse_plan(offer.plan, f"job {offer.job}")
            kind, client = plan.kind, _client(offer)
            asked = self._asked(offer.job, plan, client)
            told = {"client": client, "kind": kind, "plan": plan.digest().hex(), "beyond": _beyond(plan)}
            self._home.policy.check(plan)
            if direct:
                check_direct(plan, self._home.policy)
            if isinstance(plan, Plan):
                check_offer(plan, self.party, self._settings.datasets, self._home.policy, direct=direct)
            if isinstance(plan, TrainPlan | ScorePlan | PredealPlan):
                self._home.stocks.check(plan, self.party)
            if isinstance(plan, PromotePlan) and plan.model is not None:
                self._home.registry.version(plan.model)
            self._home.rates.begin(client, offer.job, self._home.policy)  # last: what is refused is not counted
            audit.check_books(self._home.positions(), self._home.command)
            audit.add(What.OFFER, offer.job, **told)
            audit.add(What.ACCEPT, offer.job)
        except Exception as caught:  # of any kind: an offer must not end the daemon
            error = refused(caught) or caught
            if isinstance(error, WattScoreError):
                _log.warning("job %s refused: %s", offer.job, error)
            else:
                _log.exception("job %s refused", offer.job)
            self._metrics.refused(kind, type(error).__name__)
            public = error.public if isinstance(error, WattScoreError) else type(error).__name__
            self._enter(replace(asked, state="refused", cause=public))
            if kind:  # else it was no offer
                self._refusals.enter(offer.job, type(error).__name__, told)
            await send(wire.FromParty(refuse=wire.Refuse(job=offer.job, fault=to_fault(error, self.party.value))))
            return
        self._jobs[offer.job] = _Running(plan, client, JobWatch(self._metrics, offer.job, plan.kind), direct=direct)
        self._meeting.expect(offer.job, ask)
        self._enter(asked)
        about = (offer.job, plan.kind, plan.name, client, asked.dataset or "none")
        _log.info("job %s accepted: %s %r asked for by %s, on dataset %s", *about)
        await send(wire.FromParty(accept=wire.Accept(job=offer.job)))

    def _asked(self, job: str, plan: AnyPlan, client: str) -> Offered:
        dataset = plan.side(self.party).dataset if isinstance(plan, Plan) else ""
        return Offered(job, plan.kind, plan.name, client, dataset, plan.digest().hex())

    def _enter(self, asked: Offered) -> None:
        """A book that cannot be written is logged, and ends no daemon: what must not be lost is charged elsewhere."""
        try:
            self._home.jobs.enter(asked)
        except (OSError, sqlite3.Error):
            _log.exception("job %s: not entered in the book of jobs", asked.job)

    def _end(self, job: str, state: str, cause: str = "", counts: Mapping[str, int] | None = None) -> None:
        try:
            self._home.jobs.end(job, state, cause, counts)
        except (OSError, sqlite3.Error):
            _log.exception("job %s: its end is not entered in the book of jobs", job)

    def _check_name(self, job: str, whom: str) -> None:
        """Who offers a job names it, and files are named after it: a name must be one, and new here."""
        if not is_job_name(job):
            raise PeerProtocolError(f"{whom} offered a job under a name that is none", remedy="Do not trust it.")
        if job in self._jobs or self._home.knows(job):
            raise PeerProtocolError(f"{whom} offered job {job} again", remedy="Do not trust it.")

    def _start(self, job: str, send: Send) -> None:
        running = self._jobs.get(job)
        if running is None or running.task is not None:
            raise JobStateError(f"job {job} cannot start: it was not accepted, or runs already", job=job)
        running.task = asyncio.create_task(self._watched(job, running, send))

    def _forget(self, job: str) -> None:
        self._jobs.pop(job, None)
        self._meeting.forget(job)

    async def _watched(self, job: str, running: _Running, send: Send) -> None:
        """`_run`, counted and with its place in the job in all that is logged."""
        with running.watch:
            running.watch.counting(running.peer, running.coordinator)
            await self._attempt(job, running, send)

    async def _attempt(self, job: str, running: _Running, send: Send) -> None:
        reporter = ProgressReporter(job, send, (running.peer, running.coordinator), running.watch.stage)
        try:
            done = await self._compute(job, running, reporter)
            reporter.stop()
            await send(wire.FromParty(done=wire.Done(job=job, report=done)))
            running.watch.ended()
            self._end(job, "done", counts={d.name: value for d, value in done.counts.ListFields()})
            _log.info("job %s done", job)
        except (Exception, asyncio.CancelledError) as error:
            cause = running.cause or refused(error) or error
            self._account(job, running, type(cause).__name__)
            running.watch.ended(type(cause).__name__)
            self._end(job, "failed", cause.public if isinstance(cause, WattScoreError) else type(cause).__name__)
            if isinstance(cause, WattScoreError):
                _log.warning("job %s ended: %s", job, cause)
            else:
                _log.exception("job %s failed", job)
            reporter.stop()
            with suppress(WattScoreError):
                await send(wire.FromParty(failed=wire.Failed(job=job, fault=to_fault(cause, self.party.value))))
        finally:
            reporter.stop()
            self._forget(job)

    def _account(self, job: str, running: _Running, error: str) -> None:
        """Enters how it ended, once, with all that was opened."""
        if running.entered:
            return
        found = running.session.openings if running.session is not None else {}
        openings = [[value.value, kind, way, o.arrays, o.rows, o.bits] for (value, kind, way), o in found.items()]
        try:
            self._home.audit.add(What.END, job, error=error, opened=openings, books=self._home.positions())
            running.entered = True
        except OSError:
            if not error:
                raise  # a job of which there is no account has not succeeded
            _log.exception("the end of job %s is not in the audit log", job)

    async def _compute(self, job: str, running: _Running, reporter: ProgressReporter) -> wire.Report:
        reporter.stage("connect")
        if running.direct:
            return await self._together(job, running, reporter, None)
        if self._coordinator is None:
            raise LocalProtocolError("a process without a coordinator was offered a job by one")
        stream = self._coordinator.stream(DEAL)
        dealer = DealerChannel(stream, "the coordinator", running.coordinator, MESSAGES)
        nonce = fresh_nonce()
        try:
            await dealer.join(job, nonce)
            dealer.start()
            return await self._together(job, running, reporter, (dealer, nonce))
        finally:
            await dealer.stop()
            await stream.close()

    async def _together(self, job: str, running: _Running, reporter: ProgressReporter, dealt: _Dealt | None) -> wire.Report:
        """What follows with the other party. dealt: the dealer, and the nonce it was told, where there is one."""
        peer: FrameChannel | None = None
        try:
            account = Account(self._home.audit, job, f"the {self.party.other.value}", self._home.command)
            peer = await self._meeting.meet(job, running.plan.digest(), running.peer, account)
            session = running.session = Session(
                self.party,
                running.watch.channel(peer),
                reporter,
                allowed=running.plan.allowed,
                enter=partial(_enter_opening, self._home.audit, job),
            )
            outcome = await self._outcome(job, running, session, dealt, reporter)
            if outcome.champion:
                position = self._home.registry.position.hex()
                self._home.audit.add(What.PROMOTE, job, champion=outcome.champion, position=position)
            self._account(job, running, "")
            return to_message(outcome, running.peer, running.coordinator)
        except (Exception, asyncio.CancelledError) as error:
            if peer is not None:
                cause = running.cause or (
                    JobCancelled("the job was stopped")
                    if isinstance(error, asyncio.CancelledError)
                    else refused(error) or error
                )
                await peer.abort(to_fault(cause, self.party.value))
            raise
        finally:
            if peer is not None:
                await peer.stop()

    async def _outcome(
        self, job: str, running: _Running, session: Session, dealt: _Dealt | None, reporter: ProgressReporter
    ) -> Outcome:
        plan = running.plan
        if dealt is None:  # all its randomness is in a stock, whose seeds were looked at when it was dealt
            return await self._run(job, running, session, DealtCorrelations(self.party, Prg.fresh_seed(), NoDealer()), reporter)
        dealer, nonce = dealt
        seed = await agree_on_seeds(session, await take_seed(dealer), nonce, self._home.seeds)
        if isinstance(plan, PredealPlan):
            return await predeal(job, plan, session, dealer, seed, self._home.stocks, reporter)
        if isinstance(plan, PromotePlan):
            return await promote(job, plan, session, self._home, self._role, reporter)
        return await self._run(job, running, session, DealtCorrelations(self.party, seed, dealer), reporter)

    async def _run(
        self, job: str, running: _Running, session: Session, correlations: DealtCorrelations, reporter: ProgressReporter
    ) -> Outcome:
        """A training or scoring job."""
        plan = running.plan
        if not isinstance(plan, Plan):
            raise LocalProtocolError("only training and scoring have rows")
        dataset = declared(self._settings.datasets[plan.side(self.party).dataset])
        scratch = Scratch(self._settings.data / Name.SCRATCH, self._settings.memory_mib << 20)
        match = choose_match(plan, job, self._coordinator, running.coordinator)
        parts = (job, plan, dataset, session, correlations, reporter, self._home, self._role, match, scratch)
        return await run(PartyJob(*parts, client=running.client, direct=running.direct, desk=self._desk))


def _enter_opening(audit: AuditLog, job: str, way: Way, first: Openings) -> None:
    value, kind, direction = way
    audit.add(What.OPEN, job, value=value.value, kind=kind, way=direction, rows=first.rows, bits=first.bits)


def _beyond(plan: AnyPlan) -> list[str]:
    """The rules that a plan asks to be let pass."""
    return [name for name in ("force", "anew") if getattr(plan, name, False)]


def _client(offer: wire.Offer) -> str:
    """The identity of who asked for the job: rates are by client. Raises PeerProtocolError where the coordinator has none."""
    try:
        return str(Identity.parse(offer.client))
    except IdentityError:
        raise PeerProtocolError(
            "the coordinator does not say whose job it offers", remedy="Install the same release there."
        ) from None
