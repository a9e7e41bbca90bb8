"""Runs offered jobs at one party: looks at the offer, meets the other party, runs the pipeline, reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry

from common.daemon.account import Account
from common.daemon.again import Again
from common.daemon.answers import Answers
from common.daemon.booked import Booked
from common.daemon.conduct import Conduct, Dealt, Running, chain_of
from common.daemon.gate import Gate
from common.daemon.granted import Grants
from common.daemon.known import check_name, client_of, told_of
from common.daemon.live import Live
from common.daemon.meet import Meeting
from common.daemon.refusals import Refusals
from common.daemon.report_message import ProgressReporter, to_message
from common.daemon.settings import PartySettings
from common.daemon.several import SeveralJob, banks_of, check_bank, check_banks, open_session, side_of, without
from common.disk.refused import refused
from common.errors import JobCancelled, JobStateError, LocalProtocolError, PeerLost, WattScoreError
from common.home.audit import What
from common.home.dealt import Heard, Opening
from common.home.home import Home
from common.home.jobbook import Offered
from common.home.outcome import Outcome
from common.learn.dealings import MESSAGES
from common.mpc.correlations.dealt import take_seed
from common.mpc.seeds import fresh_nonce
from common.party import Identity, Party
from common.plan.job_stages import Stage
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.request import Plan
from common.plan.roles import NEEDED, check
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.process.metrics import JobWatch, PartyMetrics
from common.stages.course import Course, Point
from common.stages.job import Desk, Role
from common.stages.offer import check_direct, check_offer
from common.stages.seeds import agree_on_seeds
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.methods import DEAL
from common.wire.peer import DealerChannel, FrameChannel
from common.wire.peer_pb2 import Fault
from common.wire.status import from_fault, to_fault

_log = logging.getLogger(__name__)

_END = 10.0  # seconds that a job which is stopped has to end

Send = Callable[[wire.FromParty], Awaitable[None]]


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
        own: Identity | None = None,
    ) -> None:
        """coordinator: None at a process that runs only what it asks for itself. own: who this party is."""
        self._conduct = Conduct(role, settings, home, coordinator, own)
        self._metrics = metrics or PartyMetrics(CollectorRegistry())
        self.party, self.settings, self._home = role.party, settings, home
        self._meeting, self._coordinator = meeting, coordinator
        self._jobs = self.live = Live()
        self._own, self._role = own, role
        self._booked, self._grants = Booked(home.jobs), Grants(settings, role.party, own, home.jobs)
        self._refusals, self.gate, self._again = Refusals(home.audit), Gate(home, role.party.value), Again()
        meeting.listen(self._asked_for)

    async def begin(
        self, job: str, plan: str, client: Identity, *, own: bool, desk: Desk | None = None
    ) -> tuple[asyncio.Task[None], Answers]:
        """A job that no coordinator offers, asked for by `client`: what runs it, and what is said of it.

        own: it is this party's, and the other has yet to be asked. desk: where rows are asked, of one that scores on request.
        Raises what it is refused for.
        """
        answers = Answers()
        offer = wire.Offer(job=job, plan=plan, client=str(client))
        await self._offered(offer, answers, direct=True, ask=plan if own else "")
        answers.check()
        self._jobs[job].desk = desk
        self._start(job, answers)
        task = self._jobs[job].task
        assert task is not None  # noqa: S101
        return task, answers

    async def _asked_for(self, job: str, plan: str, client: Identity) -> None:
        await self.begin(job, plan, client, own=False)

    def adopt(self, settings: PartySettings) -> None:
        """Takes datasets and thresholds of alarms from `settings`, for jobs offered from now on; the rest needs a restart."""
        kept = self.settings.model_copy(update={key: getattr(settings, key) for key in ("datasets", "consent", "monitor")})
        names = ", ".join(settings.datasets) or "none"
        if kept != settings:
            changed = [name for name in type(settings).model_fields if getattr(kept, name) != getattr(settings, name)]
            _log.warning("the configuration has a new %s, which takes a restart", ", ".join(changed))
        self.settings, self._home.monitor = kept, settings.monitor
        _log.info("the configuration was read anew; datasets: %s", names)

    async def take(self, message: wire.ToParty, send: Send) -> None:
        """Acts on one message of the coordinator."""
        what = message.WhichOneof("message")
        if what == "offer":
            await self._offered(message.offer, send)
        elif what == "start":
            self._start(message.start.job, send)
        elif what == "stop":
            self.stop(message.stop.job, from_fault(message.stop.fault))
        elif what == "over":
            over = message.over
            await self._again.do(
                f"what is kept of job {over.job}, which is over", partial(self._over, over.job, over.succeeded)
            )

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
        if not offered:
            self._again.stop()
        self._refusals.count()

    def held(self) -> list[str]:
        """The jobs that are not over here."""
        return [*self._home.unfinished.jobs(), *self.gate.waiting()]

    async def _over(self, job: str, succeeded: bool) -> None:
        """The coordinator's last word on a job: only now is a product that was kept certain, or gone."""
        if await asyncio.to_thread(self.gate.over, job):
            self._booked.end(job, "failed", "it ended before it was approved")
        await self._ended(job, None if succeeded else PeerLost("the coordinator says that the job is over"))
        if self._home.unfinished.begun(job) is not None and not succeeded:
            await asyncio.to_thread(self._home.discard, job)
            _log.info("job %s is over: nothing of it is kept", job)
        await asyncio.to_thread(self._home.unfinished.forget, job)

    async def _ended(self, job: str, cause: WattScoreError | None) -> None:
        """Waits until a job that runs here has ended; cause: why it is told to."""
        if (running := self._jobs.get(job)) is None:
            return
        task = running.task
        if cause is not None and running.cause is None:  # one that was told why keeps that cause
            self.stop(job, cause)
        if task is not None:
            await asyncio.wait([task], timeout=_END)

    async def _offered(self, offer: wire.Offer, send: Send, *, direct: bool = False, ask: str = "") -> None:
        kind, asked, audit, told, grant = "", Offered(offer.job), self._home.audit, None, None
        if offer.job in self._jobs and offer.attempt > self._jobs[offer.job].attempt:
            await self._ended(offer.job, PeerLost("the coordinator offers the job again"))
        try:
            whom = "the other party" if direct else "the coordinator"
            begun = check_name(self._home, self.party, offer, whom, runs=offer.job in self._jobs)
            whole = parse_plan(offer.plan, f"job {offer.job}")
            plan, left_out = without(whole, offer.without)
            kind, client = plan.kind, client_of(offer)
            asked = self._asked(offer.job, plan, client)
            told = told_of(plan, client, left_out)
            self._home.policy.check(plan)
            if direct:
                check_direct(plan, self._home.policy)
            check_bank(plan, self.party, self.settings, self._own)
            if isinstance(plan, SeveralPlan) and self._own is not None:
                check_banks(plan, self.settings, self._own, self._home.unfinished.points(offer.job))
            if (side := side_of(plan, self.party, self._own)) is not None:
                check_offer(side, self.party, self.settings.datasets, self._home.policy, direct=direct)
                grant, pins = self._grants.check(offer.job, side)
                told |= {"grants": [f"{dataset} {pin}" for dataset, pin in pins.items()]}
            if begun is None and isinstance(plan, TrainPlan | ScorePlan | PredealPlan):
                self._home.stocks.check(plan, self.party)
            if isinstance(plan, PromotePlan) and plan.model is not None:
                self._home.registry.version(plan.model)
            check(self._home.policy.roles, client, NEEDED[kind], f"The {self.party.value}")
            self._home.rates.begin(client, offer.job, self._home.policy)  # last: what is refused is not counted
            audit.check_books(self._home.positions(), self._home.command)
            held = begun is None and self.gate.holds(offer.job, plan, client, direct=direct)
            audit.add(What.OFFER, offer.job, **told)
            if held:
                audit.add(What.HOLD, offer.job)
                self._booked.enter(replace(asked, state="held"))
                _log.info("job %s is held: people have to approve it", offer.job)
                await send(wire.FromParty(hold=wire.Hold(job=offer.job, attempt=offer.attempt)))
                return
            if begun is None and not direct:
                self._home.unfinished.begin(offer.job, whole.canonical(), client)
            audit.add(What.ACCEPT, offer.job)
        except Exception as caught:  # of any kind: an offer must not end the daemon
            error = refused(caught) or caught
            if isinstance(error, WattScoreError):
                _log.warning("job %s refused: %s", offer.job, error)
            else:
                _log.exception("job %s refused", offer.job)
            self._metrics.refused(kind, type(error).__name__)
            public = error.public if isinstance(error, WattScoreError) else type(error).__name__
            self._booked.enter(replace(asked, state="refused", cause=public))
            if kind:  # else it was no offer
                self._refusals.enter(offer.job, type(error).__name__, told)
            fault = to_fault(error, self.party.value)
            await send(wire.FromParty(refuse=wire.Refuse(job=offer.job, fault=fault, attempt=offer.attempt)))
            return
        watch, dataset = JobWatch(self._metrics, offer.job, plan.kind), self.settings.datasets.get(asked.dataset)
        consents = self.settings.consents(asked.dataset)
        self._jobs[offer.job] = Running(
            plan, client, watch, dataset, consents, grant, attempt=offer.attempt, direct=direct, left_out=left_out
        )
        self._meeting.expect(offer.job, ask, offer.attempt, banks_of(plan))
        self._booked.enter(asked, again=begun is not None)
        about = (offer.job, plan.kind, plan.name, client, asked.dataset or "none")
        _log.info("job %s accepted: %s %r asked for by %s, on dataset %s", *about)
        await send(wire.FromParty(accept=wire.Accept(job=offer.job, attempt=offer.attempt)))

    def _asked(self, job: str, plan: AnyPlan, client: str) -> Offered:
        side = side_of(plan, self.party, self._own)
        dataset = "" if side is None else side.side(self.party).dataset
        return Offered(job, plan.kind, plan.name, client, dataset, plan.digest().hex())

    def _start(self, job: str, send: Send) -> None:
        running = self._jobs.get(job)
        if running is None or running.task is not None:
            raise JobStateError(f"job {job} cannot start: it was not accepted, or runs already", job=job)
        running.task = asyncio.create_task(self._watched(job, running, send))

    def _forget(self, job: str) -> None:
        self._jobs.pop(job, None)
        self._meeting.forget(job)

    async def _watched(self, job: str, running: Running, send: Send) -> None:
        """`_run`, counted and with its place in the job in all that is logged."""
        with running.watch:
            running.watch.counting(running.peer, running.coordinator)
            await self._attempt(job, running, send)

    async def _attempt(self, job: str, running: Running, send: Send) -> None:
        reporter = running.report(job, send)
        watching = running.watching(self.party.value, partial(self.stop, job))
        try:
            done = await self._compute(job, running, reporter)
            reporter.stop()
            await send(wire.FromParty(done=wire.Done(job=job, report=done, attempt=running.attempt)))
            running.watch.ended()
            self._booked.end(job, "done", counts={d.name: value for d, value in done.counts.ListFields()})
            _log.info("job %s done", job)
        except (Exception, asyncio.CancelledError) as error:
            cause = running.cause or refused(error) or error
            self._account(job, running, type(cause).__name__)
            running.watch.ended(type(cause).__name__)
            self._booked.end(job, "failed", cause.public if isinstance(cause, WattScoreError) else type(cause).__name__)
            if isinstance(cause, WattScoreError):
                _log.warning("job %s ended: %s", job, cause)
            else:
                _log.exception("job %s failed", job)
            reporter.stop()
            with suppress(WattScoreError):
                await send(
                    wire.FromParty(
                        failed=wire.Failed(job=job, fault=to_fault(cause, self.party.value), attempt=running.attempt)
                    )
                )
        finally:
            watching.cancel()
            reporter.stop()
            self._forget(job)

    def _account(self, job: str, running: Running, error: str) -> None:
        """Enters how it ended, once, with all that was opened."""
        if running.entered:
            return
        found = running.session.openings if running.session is not None else {}
        openings = [[value.value, kind, way, o.arrays, o.rows, o.bits] for (value, kind, way), o in found.items()]
        dealt = {"dealt": running.heard.opening.digest} if running.heard is not None else {}
        try:
            self._home.audit.add(What.END, job, error=error, opened=openings, books=self._home.positions(), **dealt)
            running.entered = True
        except OSError:
            if not error:
                raise  # a job of which there is no account has not succeeded
            _log.exception("the end of job %s is not in the audit log", job)

    async def _compute(self, job: str, running: Running, reporter: ProgressReporter) -> wire.Report:
        if isinstance(running.plan, SeveralPlan):
            return await self._compute_several(job, running, running.plan, reporter)
        reporter.stage(Stage.CONNECT)
        if running.direct:
            return await self._together(job, running, reporter, None)
        if self._coordinator is None:
            raise LocalProtocolError("a process without a coordinator was offered a job by one")
        stream = self._coordinator.stream(DEAL)
        dealer = DealerChannel(stream, "the coordinator", running.coordinator, MESSAGES)
        nonce = fresh_nonce()
        try:
            await dealer.join(job, nonce, self._home.key, running.attempt)
            dealer.start()
            return await self._together(job, running, reporter, (dealer, nonce))
        finally:
            await dealer.stop()
            await stream.close()

    async def _together(self, job: str, running: Running, reporter: ProgressReporter, dealt: Dealt | None) -> wire.Report:
        """What follows with the other party. dealt: the dealer, and the nonce it was told, where there is one."""
        peer: FrameChannel | None = None
        try:
            bank = running.plan.bank_named if self.party is Party.GRID else None
            who = "" if bank in (None, self.settings.peer.who) else str(bank)
            account = Account(self._home.audit, job, f"the {self.party.other.value}", self._home.command, who)
            peer = await self._meeting.meet(job, running.plan.digest(), running.peer, account, running.attempt, bank)
            session = open_session(self._home.audit, self.party, job, running, reporter, peer)
            course, seed = Course(), None
            if dealt is not None:
                (link, nonce), given = dealt, await take_seed(dealt[0])
                if isinstance(running.plan, Plan):
                    opening = Opening.of(job, running.attempt, self.party, running.plan.canonical(), given, nonce)
                    link = running.heard = Heard(opening, link, MESSAGES)
                    await asyncio.to_thread(self._home.dealt.keep, opening)  # also if this process is killed
                seed = await agree_on_seeds(session, given, nonce, self._home.seeds)
                course = Course(session, self._home.unfinished.points(job), running.attempt)
            dealer = (link, seed) if dealt is not None and seed is not None else None
            outcome = partial(self._conduct.outcome, job, running, session, course, dealer, reporter)
            return await self._through(job, running, course, outcome)
        except (Exception, asyncio.CancelledError) as error:
            if peer is not None:
                await peer.abort(self._fault(running, error))
            raise
        finally:
            if running.heard is not None:
                await asyncio.to_thread(self._home.dealt.keep, running.heard.opening)
            if peer is not None:
                await peer.stop()

    async def _through(
        self, job: str, running: Running, course: Course, compute: Callable[[], Awaitable[Outcome]]
    ) -> wire.Report:
        """The report of a job of which all parties have met: an earlier attempt's, where all had come so far."""
        await course.agree()
        if (kept := course.at(Point.REPORTED)) is not None:
            self._account(job, running, "")
            return wire.Report.FromString(kept[0]["report"].tobytes())
        if course.again:  # what was made in vain
            await asyncio.to_thread(self._home.discard, job)
        outcome = await compute()
        if outcome.champion:
            moved = self._home.registry.of(chain_of(running.plan.bank_named, self.settings, self.party))
            self._home.audit.add(What.PROMOTE, job, champion=outcome.champion, position=moved.position.hex())
        self._account(job, running, "")
        report = to_message(outcome, running.peer, running.coordinator)
        await course.keep(Point.REPORTED, {"report": np.frombuffer(report.SerializeToString(), np.uint8)})
        return report

    async def _compute_several(self, job: str, running: Running, plan: SeveralPlan, reporter: ProgressReporter) -> wire.Report:
        if self._own is None:
            raise JobStateError(f"job {job} cannot start: this party does not know its own identity", job=job)
        work = SeveralJob(
            job, plan, running, self.settings, self._home, self._role, self._own, self._meeting, self._coordinator, reporter
        )
        return await work.run(partial(self._through, job, running), partial(self._fault, running))

    def _fault(self, running: Running, error: BaseException) -> Fault:
        """What other parties are told of how the job ended here."""
        stopped = JobCancelled("the job was stopped") if isinstance(error, asyncio.CancelledError) else None
        return to_fault(running.cause or stopped or refused(error) or error, self.party.value)
