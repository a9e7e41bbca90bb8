"""The neutral process: parties attend it, clients submit to it, and it drives one job after another by dealing."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from common import __version__
from common.coordinator.board import Board, JobRecord
from common.coordinator.drive import ANSWER, Drive
from common.coordinator.held import Held
from common.coordinator.listing import page
from common.coordinator.members import check_model, displaced, members_of
from common.coordinator.queue import Queue
from common.errors import IdentityError, JobStateError, PeerLost, PeerProtocolError, PeerStopped, PolicyError, WattScoreError
from common.party import Bank, Identity, Member
from common.plan.job_states import Event, State
from common.plan.read import parse_plan
from common.plan.roles import NEEDED, check, has
from common.process.memory import give_memory_back
from common.process.metrics import Links
from common.process.settings import CoordinatorSettings
from common.text import traces
from common.text.logs import within
from common.wire import about_pb2, party_pb2
from common.wire import coordinator_pb2 as wire
from common.wire.about import arrival, info_service
from common.wire.methods import COORDINATOR, PARTIES
from common.wire.peer import PROTOCOL, read_greeting
from common.wire.peer_pb2 import Frame
from common.wire.server import Call, Handler, Service
from common.wire.status import to_fault

_log = logging.getLogger(__name__)

_MOST_HELD = 1000  # interrupted jobs that a party may ask about when it registers


class Coordinator:
    """State of the coordinator process and the handlers of its two services."""

    def __init__(self, settings: CoordinatorSettings, board: Board, own: Identity | None = None) -> None:
        self._settings, self._board = settings, board
        self._party = settings.members
        self._clients = {Identity.parse(client) for client in settings.clients}
        self._known = dict.fromkeys(self._clients, "client") | {who: party.role.value for who, party in self._party.items()}
        self._known |= {own: "coordinator"} if own else {}
        self._attending: dict[Member, Call] = {}
        self._replaced: dict[Member, asyncio.Event] = {}
        self._cut: dict[Member, WattScoreError] = {}  # parties that are gone because they were refused
        self._came: dict[Member, about_pb2.Attendance] = {}
        self._arrivals = asyncio.Condition()
        self.links = Links(tuple(member.value for member in self.members))
        unfinished = board.unfinished()
        self._held = Held(board, self._members_of, (record for record in unfinished if record.state is State.HELD))
        begun = (record for record in unfinished if record.state is not State.HELD)
        self._queue = Queue(settings, board, self._attending, self._cut, self._arrivals, begun)
        self._drive: Drive | None = None
        self._idle, self._stopping, self._let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()

    def services(self) -> list[Service]:
        parties: dict[str, Handler] = {"Attend": self.attend, "Deal": self.deal, "Match": self.match}
        clients: dict[str, Handler] = {
            "Submit": self.submit,
            "Watch": self.watch,
            "Show": self.show,
            "List": self.list,
            "Cancel": self.cancel,
        }
        return [Service(PARTIES, parties), Service(COORDINATOR, clients), info_service(self._known, self._attendances)]

    async def run(self) -> None:
        """Takes jobs off the queue, one at a time, until told to stop."""
        while (turn := await self._queue.next(self._stopping)) is not None:
            record, met = turn.record, False
            if turn.leaving is not None:
                met = await self._run(record, turn.leaving)
            if record.state is State.HELD:
                self._held.keep(record)
            await self._queue.ended(record, met=met)
            if record.state.final:
                await self._tell_over(record)

    async def _tell_over(self, record: JobRecord) -> None:
        """To the parties that attend; others ask when they come back."""
        for party in tuple(self._attending):
            with suppress(WattScoreError):
                await self._tell(party, _over(record.id, record, party))

    async def _run(self, record: JobRecord, leaving: tuple[Identity, ...]) -> bool:
        """One attempt; whether the parties have met in it. leaving: banks that it is to go on without from now on."""
        members = members_of(self._party, record.plan, (*record.left_out, *leaving))
        self._drive = drive = Drive(record, self._board, self._settings, self._tell, members, leaving)
        self._idle.clear()
        with (
            within(drive.place),
            traces.spanning(f"job {record.message.kind}", record.id),
            self.links.counting(**drive.counters),
        ):
            _log.info("job %s begins", record.id)
            try:
                await drive.run()
            finally:
                self._drive = None
                self._idle.set()
                asyncio.get_running_loop().run_in_executor(None, give_memory_back)
            waits = record.state is State.WAITING
            kind = (record.message.disturbed if waits else record.message.fault).kind or None
            _log.info("job %s %s", record.id, record.message.state, extra={"error": kind})
        return drive.met

    def _members_of(self, record: JobRecord) -> tuple[Member, ...]:
        return members_of(self._party, record.plan, record.left_out)

    @property
    def members(self) -> tuple[Member, ...]:
        """The parties, the grid first."""
        return tuple(self._party.values())

    def attends(self, party: Member) -> bool:
        return party in self._attending

    def outstanding(self, party: Member) -> int:
        """Arrays dealt to this party for the running job and not yet consumed."""
        return self._drive.outstanding(party) if self._drive is not None else 0

    async def stop(self, reason: str) -> None:
        """Interrupts the running job, so that parties and watchers hear why, then lets the parties go."""
        self._stopping.set()
        async with self._arrivals:
            self._arrivals.notify_all()
        if self._drive is not None:
            self._drive.fail(to_fault(PeerStopped(reason), "coordinator"))
            with suppress(TimeoutError):
                async with asyncio.timeout(3.0):
                    await self._idle.wait()
        self._let_go.set()

    # -- parties ---------------------------------------------------------------------------------------------------

    def _party_of(self, call: Call) -> Member:
        try:
            return self._party[call.identity]
        except KeyError:
            raise IdentityError(
                f"{call.identity} is not a party here", remedy=f"Parties: {', '.join(map(str, self._party))}."
            ) from None

    async def attend(self, _: None, call: Call) -> None:
        """One party's stream: kept for as long as the party lives. A second one replaces the first."""
        first = await _first(call)  # before anything is refused: a refusal that crosses it would be lost
        party = self._party_of(call)
        await self._greet(party, first)
        await call.write(party_pb2.ToParty(welcome=party_pb2.Welcome()))
        async with self._arrivals:
            if party in self._attending:
                self._replaced[party].set()
            self._replaced[party] = replaced = asyncio.Event()
            if party in self._attending and self._drive is not None:
                self._drive.lost(party)  # it came back before its old connection was seen to break
            self._attending[party] = call
            self._cut.pop(party, None)
            self._arrivals.notify_all()
        waits = list[asyncio.Future[Any]]()
        try:
            for job in first.register.held[:_MOST_HELD]:  # once it attends: of what ends from now on it is told
                record = self._board.find(job)
                if record is None or record.state.final or _is_left_out(record, party):
                    await call.write(_over(job, record, party))
            _log.info("the %s attends as %s", party.value, call.identity)
            waits += [asyncio.ensure_future(c) for c in (self._listen(party, call), self._let_go.wait(), replaced.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if waits[0].done():
                waits[0].result()
            elif replaced.is_set():
                raise displaced(party)
        finally:
            for wait in waits:
                wait.cancel()
            if self._attending.get(party) is call:
                del self._attending[party]
                if call.cause is not None:
                    self._cut[party] = call.cause
                if self._drive is not None:
                    self._drive.lost(party, call.cause)
            _log.info("the %s left", party.value)

    async def _listen(self, party: Member, call: Call) -> None:
        while (message := await call.read()) is not None:
            if message.WhichOneof("message") == "failed" and (cause := await call.refused()) is not None:
                raise cause  # what the party has seen of it says less
            await self._dispatch(party, message)

    async def _greet(self, party: Member, message: party_pb2.FromParty | None) -> None:
        if message is None or message.WhichOneof("message") != "register":
            raise PeerProtocolError(f"the {party.value} did not begin by registering")
        asked = message.register
        if asked.party != party.role.value:
            raise IdentityError(
                "a party calls itself by another role than its certificate", expected=party.role.value, got=asked.party
            )
        self._came[party] = came = arrival(asked, time.time())
        came.party = party.value
        if asked.protocol != PROTOCOL:
            refused = PeerProtocolError(
                f"the {party.value} speaks another protocol version",
                expected=PROTOCOL,
                got=asked.protocol,
                remedy=f"It runs WattScore {asked.software}, the coordinator {__version__}; install the same.",
            )
            if party not in self._attending:  # jobs that wait for it fail of this, rather than of nobody's coming
                self._cut[party] = refused
            raise refused

    async def _dispatch(self, party: Member, message: party_pb2.FromParty) -> None:
        what = message.WhichOneof("message")
        if what is None or what == "register":
            raise PeerProtocolError(f"the {party.value} sent a message out of place", got=what)
        job = getattr(message, what).job
        if what == "ready":
            await self._held.ready(job, party, self._queue.put)
            return
        if self._drive is not None and self._drive.record.id == job and party in self._drive.members:
            await self._drive.take(party, message)

    async def deal(self, _: None, call: Call) -> None:
        """One party's dealer stream for one job."""
        first = await _first(call)
        party = self._party_of(call)
        if first is None or first.WhichOneof("message") != "join":
            raise PeerProtocolError(f"the {party.value} did not begin by joining a job")
        await self._running(first.join.job).deal(party, call, first.join, first.ByteSize())

    async def match(self, _: None, call: Call) -> None:
        """One party's stream of tags for one job."""
        hello = await read_greeting(call, str(call.identity), ANSWER)
        party = self._party_of(call)
        await self._running(hello.job).match(party, call, hello, Frame(hello=hello).ByteSize())

    def _running(self, job: str) -> Drive:
        if self._drive is None or self._drive.record.id != job:
            raise JobStateError(f"job {job} is not running", job=job)
        return self._drive

    async def _tell(self, party: Member, message: party_pb2.ToParty) -> None:
        call = self._attending.get(party)
        if call is None:
            raise PeerLost(f"the {party.value} is not connected to the coordinator")
        await call.write(message)

    def _attendances(self) -> list[about_pb2.Attendance]:
        found = [self._came.get(party, about_pb2.Attendance(party=party.value)) for party in self.members]
        for party, attendance in zip(self.members, found, strict=True):
            attendance.attends = party in self._attending
        return found

    # -- clients ---------------------------------------------------------------------------------------------------

    def _client(self, call: Call) -> Identity:
        if call.identity not in self._clients:
            raise PolicyError(
                f"{call.identity} may not use this coordinator",
                remedy="Its operator lists clients in its configuration.",
            )
        return call.identity

    async def submit(self, request: wire.SubmitRequest, call: Call) -> wire.Job:
        """Queues a plan, once for each submission by its id: repeated, it is answered by the job that it has made.

        Raises PlanError for a plan that is not valid, PolicyError while too many of this client wait.
        """
        submitter, plan = self._client(call), parse_plan(request.plan)
        check(self._settings.roles, str(submitter), NEEDED[plan.kind], "The coordinator's operator")
        if (made := self._board.submitted(submitter, request.submission, plan)) is not None:
            _log.info("job %s was submitted by %s already", made.id, submitter)
            return self._shown(made)
        waiting = sum(record.message.submitter == str(submitter) for record in self._queue)
        waiting += self._held.of(str(submitter))
        if waiting >= self._settings.queued_jobs:
            raise PolicyError(
                f"{waiting} jobs of {submitter} wait already",
                remedy="Wait until some are over, or cancel some; the coordinator's operator sets queued_jobs.",
            )
        check_model(self._party, plan, partial(self._board.plan_of, seen=partial(self._seen, submitter)))
        members_of(self._party, plan)
        record = await self._board.add(plan, submitter, request.submission)
        await self._queue.put(record)
        _log.info("job %s submitted by %s", record.id, submitter)
        return self._shown(record)

    def _seen(self, who: Identity, job: wire.Job) -> bool:
        return job.submitter == str(who) or has(self._settings.roles, str(who), "view")

    def _record(self, job: str, who: Identity) -> JobRecord:
        """Raises JobNotFound, PolicyError for another client's job that this one may not see."""
        if not self._seen(who, (record := self._board.get(job)).message):
            check(self._settings.roles, str(who), "view", "The coordinator's operator")
        return record

    async def watch(self, request: wire.JobRequest, call: Call) -> None:
        record = self._record(request.job, self._client(call))
        async with aclosing(record.versions()) as versions:
            async for _ in versions:
                await call.write(self._shown(record))

    async def show(self, request: wire.JobRequest, call: Call) -> wire.Job:
        return self._shown(self._record(request.job, self._client(call)))

    async def list(self, request: wire.ListRequest, call: Call) -> wire.ListReply:
        """The newest jobs that fit and that this client may see, each in short."""
        return page(self._board, request, partial(self._seen, self._client(call)))

    async def cancel(self, request: wire.JobRequest, call: Call) -> wire.Job:
        """Ends a job that is not over; raises JobStateError for one that is."""
        who = self._client(call)
        record = self._record(request.job, who)
        if record.message.submitter != str(who):
            check(self._settings.roles, str(who), NEEDED[record.message.kind], "The coordinator's operator")
        if self._drive is not None and self._drive.record is record and not record.state.final:
            self._drive.cancel(str(who))
            await _until_final(record)
        else:
            fault = party_pb2.Failed(fault={"kind": "JobCancelled", "message": f"cancelled by {who}", "origin": "client"}).fault
            begun = record.state in (State.WAITING, State.HELD) or record.message.holds > 0  # parties may have it on disk
            await self._board.move(record, Event.CANCEL, fault)
            self._held.forget(record)
            await self._queue.drop(record)
            if begun:
                await self._tell_over(record)
        return self._shown(record)

    def _shown(self, record: JobRecord) -> wire.Job:
        message = wire.Job()
        message.CopyFrom(record.message)
        if not record.state.final:
            grid, *banks = (member in self._attending for member in self._members_of(record))
            message.grid.connected, message.bank.connected = grid, banks[0]
            live = (bank for bank in message.banks if not bank.left_out)
            for bank, connected in zip(live, banks, strict=False):
                bank.connected = connected
        return message


def _over(job: str, record: JobRecord | None, party: Member) -> party_pb2.ToParty:
    """What is told of a job that is over, or goes on without this party, or that nobody here knows."""
    succeeded = record is not None and record.state is State.SUCCEEDED and not _is_left_out(record, party)
    return party_pb2.ToParty(over=party_pb2.Over(job=job, succeeded=succeeded))


def _is_left_out(record: JobRecord, party: Member) -> bool:
    return isinstance(party, Bank) and party.who in record.left_out


async def _until_final(record: JobRecord) -> None:
    async with aclosing(record.versions()) as versions:
        async for _ in versions:
            pass


async def _first(call: Call) -> Any:
    """A stream's first message; raises PeerLost when none comes in time."""
    try:
        async with asyncio.timeout(ANSWER):
            return await call.read()
    except TimeoutError:
        raise PeerLost(f"{call.identity} opened a stream and said nothing") from None
