"""One attempt at a job, of those this party has accepted: it meets the other party, goes through the pipeline, reports."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import numpy as np

from common.daemon import stalled
from common.daemon.account import Account
from common.daemon.again import Again
from common.daemon.booked import Booked
from common.daemon.broken import Watches
from common.daemon.conduct import Conduct, Dealt, Running, chain_of
from common.daemon.dealer_line import dealer_line
from common.daemon.meet import Meeting
from common.daemon.report_message import ProgressReporter, to_message
from common.daemon.settings import PartySettings
from common.daemon.several import SeveralJob, open_session
from common.daemon.spread import Dealt as RowsDealt
from common.daemon.spread import Lines, Spread
from common.daemon.workers import Workers
from common.disk.refused import refused
from common.errors import JobCancelled, JobStateError, LocalProtocolError, WattScoreError
from common.home.audit import What
from common.home.dealt import Heard, Opening
from common.home.home import Home
from common.home.outcome import Outcome
from common.learn.dealings import MESSAGES
from common.mpc.correlations.asked import DealerLink
from common.mpc.correlations.dealt import take_seed
from common.mpc.seeds import fresh_nonce
from common.party import Identity, Party
from common.plan.job_stages import ORDER, Stage
from common.plan.predeal import PredealPlan
from common.plan.request import Plan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.stages.course import Course, Point
from common.stages.job import Role
from common.stages.seeds import agree_on_seeds
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.peer import FrameChannel
from common.wire.peer_pb2 import Fault
from common.wire.status import to_fault

_log = logging.getLogger(__name__)

Send = Callable[[wire.FromParty], Awaitable[None]]


class Attempts:
    """Attempts at the jobs of one party."""

    def __init__(
        self,
        role: Role,
        settings: PartySettings,
        home: Home,
        meeting: Meeting,
        coordinator: Connection | None,
        booked: Booked,
        own: Identity | None,
        again: Again,
        workers: Workers | None = None,
    ) -> None:
        """As `Runner` has them. booked: where it enters how a job has ended; again: does what its disk refuses once it can."""
        self.party, self.settings, self._home = role.party, settings, home
        self._meeting, self._coordinator = meeting, coordinator
        self._own, self._role, self._booked, self._again = own, role, booked, again
        self._owed = list[Callable[[], object]]()
        self._workers = workers
        self._conduct = Conduct(role, settings, home, coordinator, own)

    async def run(self, job: str, running: Running, send: Send, stop: Callable[[str, WattScoreError], None]) -> None:
        """One of them, to its end. send: delivers messages to who asked for the job. stop: ends it, for the cause given."""
        reporter = running.report(job, send)
        watches = Watches(partial(stop, job))
        watches.begin(partial(running.watch_rows, self.party.value))
        running.begun, running.through = watches.line, partial(_ending, running, watches)
        running.met = watches.line if running.desk is None else partial(watches.idle_line, lambda: running.requests.wanted)
        if running.direct:
            idle = stalled.IDLE if self.party is Party.GRID else math.inf
            watches.begin(lambda ends: stalled.stop_stalled(running, self.settings.stall_timeout, ends, idle))
        try:
            try:
                done = await self._compute(job, running, reporter)
            finally:
                running.through()
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
            await self._pay()
            await reporter.last()
            with suppress(WattScoreError):
                await send(
                    wire.FromParty(
                        failed=wire.Failed(job=job, fault=to_fault(cause, self.party.value), attempt=running.attempt)
                    )
                )
        finally:
            reporter.stop()

    def _account(self, job: str, running: Running, error: str) -> None:
        """Enters how it ended, once, with all that was opened."""
        if running.entered:
            return
        found = running.session.openings if running.session is not None else {}
        openings = [[value.value, kind, way, o.arrays, o.rows, o.bits] for (value, kind, way), o in found.items()]
        dealt = {"dealt": told[0] if len(told := running.dealt) == 1 else told} if running.heard else {}
        charged = {"charged": left} if (left := self._home.left_charged(job)) and error else {}
        enter = partial(self._home.audit.end, job, self._home.positions, error=error, opened=openings, **dealt, **charged)
        try:
            enter()
            running.entered = True
        except OSError:
            if not error:
                raise  # a job of which there is no account has not succeeded
            _log.exception("the end of job %s is not in the audit log yet", job)
            self._owed.append(partial(enter, late=True))

    async def _pay(self) -> None:
        """Enters what a full disk has kept out of the audit log, now or once there is room."""
        while self._owed:
            await self._again.do("the end of a job, in the audit log", partial(_in_thread, self._owed.pop()))

    async def _compute(self, job: str, running: Running, reporter: ProgressReporter) -> wire.Report:
        if isinstance(running.plan, SeveralPlan):
            return await self._compute_several(job, running, running.plan, reporter)
        reporter.stage(Stage.CONNECT)
        if running.direct or running.plan.undealt:
            return await self._together(job, running, reporter, None)
        if self._coordinator is None:
            raise LocalProtocolError("a process without a coordinator was offered a job by one")
        nonce, lanes = fresh_nonce(), min(running.dealt_lanes, self._home.policy.lanes)
        join = wire.Join(job=job, nonce=nonce, key=self._home.key, attempt=running.attempt)
        async with dealer_line(self._coordinator, running.coordinator, join, lanes) as dealer:
            running.begun(dealer)
            return await self._together(job, running, reporter, (dealer, nonce))

    async def _together(self, job: str, running: Running, reporter: ProgressReporter, dealt: Dealt | None) -> wire.Report:
        """What follows with the other party. dealt: the dealer, and the nonce it was told, where there is one."""
        peer: FrameChannel | None = None
        try:
            bank = running.plan.bank_named if self.party is Party.GRID else None
            who = "" if bank in (None, self.settings.peer.who) else str(bank)
            account = Account(self._home.audit, job, f"the {self.party.other.value}", self._home.command, who, running.pins)
            lanes = self._home.policy.lanes
            peer = await self._meeting.meet(job, running.plan.digest(), running.peer, account, running.attempt, bank, lanes)
            running.met(peer)
            reporter.met(ORDER[running.plan.kind][1])
            session = open_session(self._home.audit, self.party, job, running, reporter, peer)
            course, seed, spread = Course(), None, None
            if dealt is not None:
                (link, nonce), given = dealt, await take_seed(dealt[0])
                if isinstance(running.plan, Plan | PredealPlan):
                    opening = Opening.of(job, running.attempt, self.party, running.plan.canonical(), given, nonce)
                    link = Heard(opening, link, MESSAGES)
                    await running.hears(link, self._home.dealt)
                seed = await agree_on_seeds(session, given, nonce, self._home.seeds)
                spread = self._spread(job, running, seed, nonce, link)
            if not running.direct:
                course = Course(session, self._home.unfinished.points(job), running.attempt)
            dealer = (link, seed) if dealt is not None and seed is not None else None
            outcome = partial(self._conduct.outcome, job, running, session, course, dealer, reporter, spread)
            return await self._through(job, running, course, outcome)
        except (Exception, asyncio.CancelledError) as error:
            running.through()
            if peer is not None:
                await peer.abort(self._fault(running, error))
            raise
        finally:
            await asyncio.to_thread(running.keep_heard, self._home.dealt)
            if peer is not None:
                await peer.stop()

    def _spread(self, job: str, running: Running, seed: bytes, nonce: bytes, link: DealerLink) -> Spread | None:
        """How runs of rows of a training are computed apart, where both parties and who deals have agreed that they may be."""
        roads = self._meeting.roads(job) if isinstance(running.plan, TrainPlan) else None
        if roads is None or not roads.lanes or self._coordinator is None or not isinstance(link, Heard):
            return None
        counters, fault = (running.peer, running.coordinator), partial(self._fault, running)
        lines = Lines(self._meeting, self._coordinator, *counters, fault, running.weigh)
        return Spread(RowsDealt(self.party, seed, nonce, link), roads, running.dealt_lanes, lines, self._workers)

    async def _through(
        self, job: str, running: Running, course: Course, compute: Callable[[], Awaitable[Outcome]]
    ) -> wire.Report:
        """The report of a job of which all parties have met: an earlier attempt's, where all had come so far."""
        try:
            return await self._reported(job, running, course, compute)
        finally:
            running.through()

    async def _reported(
        self, job: str, running: Running, course: Course, compute: Callable[[], Awaitable[Outcome]]
    ) -> wire.Report:
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
        report = to_message(outcome, running.peer, running.coordinator, running.workers_mib)
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


def _ending(running: Running, watches: Watches) -> None:
    """From now on nobody stops it: who did would cut short what is told of its end, and put another cause in its place."""
    running.ending = True
    watches.end()


async def _in_thread(work: Callable[[], object]) -> None:
    await asyncio.to_thread(work)
