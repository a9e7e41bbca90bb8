"""Runs offered jobs at one party: looks at the offer, meets the other party, runs the pipeline, reports."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from common.daemon.again import Again
from common.daemon.answers import Answers
from common.daemon.attempt import Attempts, Send
from common.daemon.booked import Booked
from common.daemon.conduct import Running, chain_of
from common.daemon.gate import Gate
from common.daemon.granted import AllInForce, Grants, InForce, check_pinned, still_asked
from common.daemon.killed import enter_end
from common.daemon.known import check_name, client_of, told_of
from common.daemon.live import Live
from common.daemon.meet import Meeting
from common.daemon.refusals import Refusals
from common.daemon.settings import PartySettings
from common.daemon.several import banks_of, check_asker, check_bank, check_banks, lines_of, side_of, without
from common.daemon.workers import Workers
from common.disk.refused import refused
from common.errors import JobStateError, PeerLost, WattScoreError
from common.home.audit import What
from common.home.home import Home
from common.home.jobbook import Offered
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.roles import NEEDED, check
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.process.memory import give_memory_back
from common.process.metrics import JobWatch, PartyMetrics
from common.stages.desk import Desk
from common.stages.job import Role
from common.stages.offer import check_direct, check_offer
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.peer import pinned
from common.wire.status import from_fault, to_fault

_log = logging.getLogger(__name__)

_END = 10.0  # seconds that a job which is stopped has to end


@dataclass
class _Seen:
    """An offer, as far as it was looked at."""

    asked: Offered
    kind: str = ""
    told: dict[str, Any] | None = None  # for the audit log
    again: bool = False  # this party has begun the job


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
        workers: Workers | None = None,
    ) -> None:
        """coordinator: None at a process that runs only what it asks for itself. own: who this party is. workers: its own."""
        self._metrics = metrics or PartyMetrics(CollectorRegistry())
        self.party, self.settings, self._home = role.party, settings, home
        self._meeting, self._own = meeting, own
        self._jobs = self.live = Live()
        self._booked, self._grants = Booked(home.jobs), Grants(settings, role.party, own, home.jobs)
        self._refusals, self.gate, self._again = Refusals(home.audit), Gate(home, role.party.value), Again()
        self._attempts = Attempts(role, settings, home, meeting, coordinator, self._booked, own, self._again, workers)
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
            self._start(message.start.job, send, message.start.lanes, message.start.match_lanes)
        elif what in ("stop", "over") and self._home.unfinished.runs_alone(job := getattr(message, what).job):
            _log.warning("the coordinator says that job %s ends, which it has not offered: it goes on", job)
        elif what == "stop":
            cause = from_fault(message.stop.fault)
            job, here = message.stop.job, self._jobs.get(message.stop.job)
            if (here is None or here.ends) and self._home.unfinished.begun(job) is not None:
                _log.warning("job %s, which has ended here, ends: %s", job, cause)  # by less, such as a line that broke
            self.stop(job, cause)
        elif what == "over":
            over = message.over
            await self._again.do(
                f"what is kept of job {over.job}, which is over", partial(self._over, over.job, over.succeeded)
            )

    def stop(self, job: str, cause: WattScoreError) -> None:
        """Ends a job if it is here, once, for the first cause given, and not at its end; the other party hears why.

        A task that is cancelled twice leaves off what it does at its end, such as waiting for whether the other has kept what
        both made.
        """
        running = self._jobs.get(job)
        if running is None or running.ends:
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
        held = await asyncio.to_thread(self.gate.over, job)
        if held:
            self._booked.end(job, "failed", "it ended before it was approved")
        await self._ended(job, None if succeeded else PeerLost("the coordinator says that the job is over"))
        if job in self._jobs:  # entered as over, it could be opened to an auditor while it masks rows
            _log.warning("job %s runs, and the coordinator says that it is over: not entered", job)
            return
        begun = self._home.unfinished.begun(job) is not None
        if begun and not succeeded:
            await asyncio.to_thread(self._home.discard, job)
            _log.info("job %s is over: nothing of it is kept", job)
        if begun or held:  # no other is the coordinator's: one without it, whose process was killed, it would say to be done
            await self._enter_over(job, succeeded)
        await asyncio.to_thread(self._home.unfinished.forget, job)

    async def _enter_over(self, job: str, succeeded: bool) -> None:
        """In the books, where this process was killed before it had entered how the job ended, or the job never began."""
        if not succeeded and not await asyncio.to_thread(self._home.audit.newest, 1, job=job, what=What.PEER):
            self._booked.end(job, "failed", "it ended before it began")
            self._booked.give_back(job)
        if not succeeded:
            await asyncio.to_thread(enter_end, self._home, job)
        self._booked.end(job, "done" if succeeded else "failed", "" if succeeded else "it ended while this party was away")

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
        job, seen = offer.job, _Seen(Offered(offer.job))
        if job in self._jobs and offer.attempt > self._jobs[job].attempt and not self._jobs[job].direct:
            await self._ended(job, PeerLost("the coordinator offers the job again"))
        try:
            running = self._admitted(offer, seen, direct=direct)
        except Exception as caught:  # of any kind: an offer must not end the daemon
            await send(wire.FromParty(refuse=self._refusal(offer, seen, refused(caught) or caught)))
            return
        if running is None:
            await send(wire.FromParty(hold=wire.Hold(job=job, attempt=offer.attempt)))
            return
        self._jobs[job] = running
        self._meeting.expect(job, ask, offer.attempt, banks_of(running.plan))
        self._booked.enter(seen.asked, again=seen.again)
        about = (job, running.plan.kind, running.plan.name, running.client, seen.asked.dataset or "none")
        _log.info("job %s accepted: %s %r asked for by %s, on dataset %s", *about)
        await send(wire.FromParty(accept=wire.Accept(job=job, attempt=offer.attempt, grants=pinned(running.pins))))

    def _admitted(self, offer: wire.Offer, seen: _Seen, *, direct: bool) -> Running | None:
        """The job of an offer that this party takes; None where people have to approve it first. Raises what it is refused for.

        seen: told, on the way, what the offer is, for who enters a refusal.
        """
        audit, grants, pins = self._home.audit, list[InForce](), dict[str, str]()
        whom = "the other party" if direct else "the coordinator"
        taken = offer.job in self._jobs or (direct and offer.job in self.gate.waiting())
        begun = check_name(self._home, self.party, offer, whom, runs=taken)
        seen.again = begun is not None
        whole = parse_plan(offer.plan, f"job {offer.job}")
        plan, left_out = without(whole, offer.without)
        seen.kind, client = plan.kind, client_of(offer)
        seen.asked = self._asked(offer.job, plan, client)
        told = seen.told = told_of(plan, client, left_out)
        self._home.policy.check(plan)
        if direct:
            check_direct(plan, self._home.policy)
            check_asker(plan, self.party, self.settings, client)
        check_bank(plan, self.party, self.settings, self._own)
        if isinstance(plan, SeveralPlan) and self._own is not None:
            check_banks(plan, self.settings, self._own, self._home.unfinished.points(offer.job))
        if (side := side_of(plan, self.party, self._own)) is not None:
            check_offer(side, self.party, self.settings.datasets, self._home.policy, direct=direct)
            for line, bank in lines_of(plan, self.party, self._own):
                in_force, more = self._grants.check(offer.job, line, bank)
                grants, pins = [*grants, *([in_force] if in_force is not None else [])], pins | more
            told |= {"grants": [f"{dataset} {pin}" for dataset, pin in pins.items()]}
        if begun is not None:
            if begun.grants is None:
                self._home.unfinished.pin(offer.job, begun, pins)
            else:
                check_pinned(pins, still_asked(begun.grants, pins, left_out), "begun")
        seen.asked = replace(seen.asked, grants=pins)
        if begun is None and isinstance(plan, TrainPlan | ScorePlan | PredealPlan):
            self._home.stocks.of(chain_of(plan.bank_named, self.settings, self.party)).check(plan, self.party)
        if isinstance(plan, PromotePlan) and plan.model is not None:
            self._home.registry.version(plan.model)
        watch, dataset = JobWatch(self._metrics, offer.job, plan.kind), self.settings.datasets.get(seen.asked.dataset)
        consents = self.settings.consents(seen.asked.dataset)
        resting = AllInForce(grants) if grants else None
        running = Running(
            plan, client, watch, dataset, consents, resting, pins, attempt=offer.attempt, direct=direct, left_out=left_out
        )
        check(self._home.policy.roles, client, NEEDED[plan.kind], f"The {self.party.value}")
        self._home.rates.begin(client, offer.job, self._home.policy, new=direct)  # last: what is refused is not counted
        audit.check_books(self._home.positions, self._home.command)
        held = begun is None and self.gate.holds(offer.job, plan, client, pins, direct=direct)
        audit.add(What.OFFER, offer.job, **told)
        if held:
            audit.add(What.HOLD, offer.job)
            self._booked.enter(replace(seen.asked, state="held"))
            _log.info("job %s is held: people have to approve it", offer.job)
            return None
        if begun is None and not direct:
            self._home.unfinished.begin(offer.job, whole.canonical(), client, pins)
        self._accept(offer.job, running)
        return running

    def _accept(self, job: str, running: Running) -> None:
        """Enters that it is taken; other processes of this party see that a direct one runs, unless it cannot be entered."""
        with ExitStack() as unless:
            if running.direct:
                running.alone = self._home.unfinished.alone(job)
                unless.callback(running.alone.release)
            self._home.audit.add(What.ACCEPT, job)
            unless.pop_all()

    def _refusal(self, offer: wire.Offer, seen: _Seen, error: Exception) -> wire.Refuse:
        """The answer to an offer that is refused for `error`, once that is in the log, the metrics and the books."""
        public = error.public if isinstance(error, WattScoreError) else type(error).__name__
        if isinstance(error, WattScoreError):
            _log.warning("job %s refused: %s", offer.job, error)
        else:
            _log.error("job %s refused", offer.job, exc_info=error)
        self._metrics.refused(seen.kind, type(error).__name__)
        self._booked.enter(replace(seen.asked, state="refused", cause=public))
        if seen.kind:  # else it was no offer
            self._refusals.enter(offer.job, type(error).__name__, seen.told)
        fault = to_fault(error, self.party.value)
        return wire.Refuse(job=offer.job, fault=fault, attempt=offer.attempt)

    def _asked(self, job: str, plan: AnyPlan, client: str) -> Offered:
        side = side_of(plan, self.party, self._own)
        dataset = "" if side is None else side.side(self.party).dataset
        return Offered(job, plan.kind, plan.name, client, dataset, plan.digest().hex())

    def _start(self, job: str, send: Send, lanes: int = 1, match_lanes: int = 1) -> None:
        """lanes: over which the coordinator deals, at most; match_lanes: over which it takes tags."""
        running = self._jobs.get(job)
        if running is None or running.task is not None:
            raise JobStateError(f"job {job} cannot start: it was not accepted, or runs already", job=job)
        running.dealt_lanes, running.match_lanes = max(1, lanes), max(1, match_lanes)
        running.task = asyncio.create_task(self._watched(job, running, send))

    def _forget(self, job: str) -> None:
        running = self._jobs.pop(job, None)
        self._meeting.forget(job)
        if running is not None and running.alone is not None:
            running.alone.release()

    async def _watched(self, job: str, running: Running, send: Send) -> None:
        """An attempt, counted and with its place in the job in all that is logged."""
        with running.watch:
            running.watch.counting(running.peer, running.coordinator)
            try:
                await self._attempts.run(job, running, send, self.stop)
            finally:
                self._forget(job)
                if not self._jobs:
                    loop = asyncio.get_running_loop()
                    loop.call_soon(loop.run_in_executor, None, give_memory_back)  # once this task, which holds the job, is over
