"""Driving one job: offer it, deal for it, gather what the parties report. One job at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import thread_time
from typing import Any

from common.coordinator import cause
from common.coordinator.board import Board, JobRecord, note
from common.coordinator.lanes import Joined, Lanes, Rows
from common.coordinator.matching import Matching
from common.errors import JobStateError, PeerLost, PeerProtocolError, PlanError, WattScoreError
from common.learn.dealings import MESSAGES, dealings, together
from common.mpc.beside import side_by_side
from common.mpc.dealer import Dealer
from common.mpc.seeds import KEY_BYTES, NONCE_BYTES
from common.mpc.several.dealer import SeveralDealer
from common.party import Identity, Member, Party
from common.plan.job_states import Event, State
from common.plan.request import Plan
from common.plan.several import SeveralPlan
from common.process.memory import peak_mib
from common.process.settings import CoordinatorSettings
from common.text.logs import Place, within
from common.unheard import unheard
from common.wire import coordinator_pb2, party_pb2
from common.wire.dealing import DealtChannel
from common.wire.lanes import Duplex, Purpose, Wish
from common.wire.peer import Counter
from common.wire.peer_pb2 import Fault, Hello
from common.wire.server import Call
from common.wire.status import from_fault, to_fault

_log = logging.getLogger(__name__)

ANSWER = 30.0  # seconds a party has to look at an offer
_MOST_SAID = 1 << 19  # bytes of a party's message about a job: its report is kept with the job

Tell = Callable[[Member, party_pb2.ToParty], Awaitable[None]]
Seat = tuple[Member, int]  # a party, and the line of a job of several banks on which it stands there


class Drive:
    """One running job at the coordinator. Parties' messages come in by `take`, dealer streams by `deal`."""

    def __init__(
        self,
        record: JobRecord,
        board: Board,
        settings: CoordinatorSettings,
        tell: Tell,
        members: Sequence[Member] = tuple(Party),
        leaving: Sequence[Identity] = (),
    ) -> None:
        """members: the parties of the job, the grid first, then its banks in the plan's order.

        leaving: banks, not among them, that this attempt would go on without from now on, if all members agree.
        """
        self._leaving, self._without = tuple(leaving), (*record.left_out, *leaving)
        self._plan = record.plan.without(self._without) if isinstance(record.plan, SeveralPlan) else record.plan
        self.record, self._board, self._settings, self._tell = record, board, settings, tell
        self.members = tuple(members)
        grid, *banks = self.members
        self._lines = tuple({Party.GRID: grid, Party.BANK: bank} for bank in banks)
        seats: list[Seat] = [(member, line) for line, pair in enumerate(self._lines) for member in pair.values()]
        loop = asyncio.get_running_loop()
        self._accepted = {member: loop.create_future() for member in self.members}
        self._done: dict[Member, asyncio.Future[party_pb2.Report]] = {member: loop.create_future() for member in self.members}
        self._failed: asyncio.Future[Fault] = loop.create_future()
        self._faults: dict[Member, Fault] = {}
        self._lost: set[Member] = set()
        self._held: list[Member] = []  # who waits for its people
        self._cancelled: Fault | None = None
        self._attempt = record.message.attempt
        self.met = False  # the parties, in this attempt
        self._heard = 0  # messages of any party
        self._joined: dict[Seat, asyncio.Future[Joined]] = {seat: loop.create_future() for seat in seats}
        self._counters = {member: Counter() for member in self.members}
        self._channels: dict[Seat, DealtChannel] = {}
        self._lanes, self._match_lanes = (Lanes(settings.lanes, purpose) for purpose in (Purpose.DEAL, Purpose.MATCH))
        self._rows = Rows(record.id, self._attempt, settings.lanes)
        self._undealt = self._plan is not None and self._plan.undealt
        neutral = isinstance(self._plan, Plan | SeveralPlan) and self._plan.aided
        self._matching = [
            Matching({party: self._counters[member] for party, member in pair.items()}, settings.max_ids)
            for pair in (self._lines if neutral else ())
        ]
        self.place = Place(record.id)

    async def run(self) -> None:
        """Until the job is done, failed or cancelled, or waits or is held; the record then says which."""
        try:
            await self._race(self._play())
        except WattScoreError as error:
            await self._end(await cause.first_hand(error, self._faults, self._lost, len(self.members)))
        except Exception as error:
            _log.exception("job %s failed at the coordinator", self.record.id)
            await self._end(to_fault(error, "coordinator"))
        if self._cancelled is not None:  # as the attempt was ending otherwise: the job would wait, and who cancels with it
            await self._end(self._cancelled)

    async def _end(self, fault: Fault) -> None:
        if self.record.state.final:  # it was done at the very moment that something failed
            return
        if fault.kind == "JobCancelled" and fault.origin == "client":
            event = Event.CANCEL
        elif self._leaving and fault.kind == "JobStateError" and self.record.state is State.OFFERED:
            self._board.wait_for_all(self.record)
            event = Event.INTERRUPT
        else:
            event = Event.INTERRUPT if self._goes_on(fault) else Event.FAIL
        await self._board.move(self.record, event, fault)
        await self._stop_parties(fault)

    def _goes_on(self, fault: Fault) -> bool:
        """Whether the job waits and goes on: something was lost, and it is no line that has never carried this job.

        Who was told to stop says so before its stream to the coordinator ends.
        """
        settings = self._settings
        gone = bool(self._lost) or fault.origin == "coordinator" or fault.kind == "PeerStopped"
        interrupted = self._attempt - self.record.message.holds
        possible = settings.resume_days > 0 and interrupted < settings.interruptions
        return possible and fault.kind in ("PeerLost", "PeerStopped") and (self.met or gone or interrupted > 0)

    async def _play(self) -> None:
        job = self.record.message
        await self._board.move(self.record, Event.OFFER)
        offer = party_pb2.Offer(job=job.id, plan=job.plan, client=job.submitter, attempt=self._attempt)
        offer.without.extend(map(str, self._without))
        for party in self.members:
            offer.begun = self.record.party(party).accepted
            await self._tell(party, party_pb2.ToParty(offer=offer))
        await self._within(_all(self._accepted), "the parties did not all answer the offer")
        if self._held:
            names = " and the ".join(party.value for party in self._held)
            await self._board.move(self.record, Event.HOLD)
            await self._stop_parties(Fault(kind="JobStateError", message=f"the job waits for people of the {names}"))
            return
        self._board.leave_out(self.record, self._leaving)
        await self._board.move(self.record, Event.ACCEPTED)
        serving = unheard(asyncio.create_task(self._serve()))  # a line may break as it is stopped: it then ends with that
        try:
            await self._tell_all(party_pb2.ToParty(start=self._start()))
            await self._reports(serving)
        finally:
            serving.cancel()
        self._keep_reports()
        await self._board.move(self.record, Event.DONE)

    def _start(self) -> party_pb2.Start:
        lanes = self._settings.lanes if self._settings.lanes > 1 else 0
        return party_pb2.Start(job=self.record.id, lanes=lanes, match_lanes=lanes if self._matching else 0)

    async def _reports(self, serving: asyncio.Task[None]) -> None:
        """Until both have reported, or serving them has failed and no reports explain it: parties end their streams first."""
        done = _all(self._done)
        await asyncio.wait((serving, done), return_when=asyncio.FIRST_COMPLETED)
        try:
            if not done.done():
                await serving
        except PeerLost:
            await asyncio.wait((done,), timeout=cause.BETTER)
            if not done.done():
                raise
        await done

    async def _serve(self) -> None:
        """Deals, and matches ids, where the plan has the coordinator do it."""
        parts = [*([] if self._undealt else [self._deal_all()]), *(matching.run() for matching in self._matching)]
        await side_by_side(parts)

    async def _within(self, what: Awaitable[object], text: str) -> None:
        try:
            async with asyncio.timeout(ANSWER):
                await what
        except TimeoutError:
            raise PeerLost(f"{text} within {ANSWER:.0f} s", remedy="See both parties' logs, and how busy they are.") from None

    async def _race(self, play: Awaitable[object]) -> None:
        """`play`, or the first failure anybody reports."""
        task: asyncio.Future[object] = asyncio.ensure_future(play)
        try:
            while not (task.done() or self._failed.done()):
                heard = self._heard
                limit = self._settings.stall_timeout
                await asyncio.wait((task, self._failed), return_when=asyncio.FIRST_COMPLETED, timeout=limit)
                if heard == self._heard and not (task.done() or self._failed.done()):
                    raise PeerLost(f"no party has reported anything for {limit:.0f} s", remedy="See both parties' logs.")
            if self._failed.done() and not task.done():
                raise from_fault(self._failed.result())
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, WattScoreError):
                await task

    def fail(self, fault: Fault, party: Member | None = None) -> None:
        if party is not None:
            if fault.origin == party.role.value:
                fault.origin = party.value  # of several banks, which one
            self._faults[party] = fault
        if not self._failed.done():
            self._failed.set_result(fault)

    def cancel(self, who: str) -> None:
        self._cancelled = Fault(kind="JobCancelled", message=f"cancelled by {who}", origin="client")
        self.fail(self._cancelled)

    async def take(self, party: Member, message: party_pb2.FromParty) -> None:
        """One message of a party about this job."""
        what = message.WhichOneof("message")
        if what is None or getattr(message, what).attempt != self._attempt:
            return  # of an attempt that is over
        self._heard += 1
        if (size := message.ByteSize()) > _MOST_SAID:
            raise PeerProtocolError(f"the {party.value} reports too much", expected=f"at most {_MOST_SAID} bytes", got=size)
        if what == "accept" and not self._accepted[party].done():
            self._board.accepted(self.record, party, message.accept.grants)
            self._accepted[party].set_result(None)
        elif what == "hold" and not self._accepted[party].done():
            self._board.hold(self.record, party)
            self._held.append(party)
            self._accepted[party].set_result(None)
        elif what == "refuse":
            note(self.record, party.value, "refused")
            self.fail(message.refuse.fault, party)
        elif what == "failed":
            self.fail(message.failed.fault, party)
        elif what == "progress":
            self.place.stage = message.progress.stage
            self.met |= message.progress.stage not in ("", "connect")
            await self._board.progress(self.record, party, message.progress)
        elif what == "done" and not self._done[party].done():
            note(self.record, party.value, "reported")
            self._done[party].set_result(message.done.report)

    def lost(self, party: Member, cause: WattScoreError | None = None) -> None:
        """A party's stream to the coordinator has ended; `cause`: why the coordinator has cut it."""
        if party not in self.members:
            return
        if not self._done[party].done() or self._done[party].cancelled():  # cancelled: the job has just failed
            error = PeerLost(
                f"the {party.value} lost its connection to the coordinator",
                remedy=f"See whether the {party.value} still runs, and its log.",
            )
            self._lost.add(party)
            if cause is not None:  # whatever the party has said, it was this
                self._faults[party] = to_fault(cause, "coordinator")
            self.fail(self._faults.setdefault(party, to_fault(error, party.value)))

    async def deal(self, party: Member, call: Call, join: party_pb2.Join, greeted: int) -> None:
        """Serves one party's dealer stream, of which `greeted` bytes were read to know the job, until the party closes it.

        Raises PlanError where nobody deals.
        """
        self._check_attempt(party, join.attempt)
        if self._undealt:
            raise PlanError("the plan of this job has nobody deal: dealer = 'none'")
        seat, several = self._seat(party, join.line), isinstance(self.record.plan, SeveralPlan)
        if join.row_lane:
            self._counters[party].received += greeted
            await self._deal_rows(seat, call, join)
            return
        if join.lane:
            self._counters[party].received += greeted
            await self._lanes.serve(seat, call, join)
            return
        for nonce in (join.nonce, *([join.common] if several else [])):
            if len(nonce) != NONCE_BYTES:
                raise PeerProtocolError(f"the {party.value} joined with no nonce", expected=NONCE_BYTES, got=len(nonce))
        if len(join.key) != KEY_BYTES:
            raise PeerProtocolError(f"the {party.value} joined with no key", expected=KEY_BYTES, got=len(join.key))
        whom, counter = f"the {party.value}", self._counters[party]
        counter.received += greeted
        if self._joined[seat].done() or seat in self._lanes:
            raise PlanError(f"{whom} joined job {self.record.id} twice")
        try:
            stream = await self._lanes.first(seat, call, join, whom)
            if self._joined[seat].done():
                raise JobStateError(f"job {self.record.id} ended while lanes of {whom} were waited for", job=self.record.id)
            channel = self._channel(stream, whom, counter)
            self._joined[seat].set_result(Joined(channel, join.nonce, join.key, join.common))
            self._channels[seat] = channel
            with within(Place(self.record.id, f"deal to the {party.value}")):
                await channel.read()
        finally:
            await self._lanes.end(seat)

    async def _deal_rows(self, seat: Seat, call: Call, join: party_pb2.Join) -> None:
        """Serves a stream on which a run of rows is dealt, until the party closes it."""
        party, joined = seat[0], self._joined[seat]
        if isinstance(self._plan, SeveralPlan) or not joined.done() or joined.cancelled():
            raise PeerProtocolError(f"no line of job {self.record.id} waits for runs of rows")
        channel = self._channel(call, f"the {party.value}, run {join.row_lane} of rows", self._counters[party])
        self._rows.take(party.role, join, joined.result().nonce, channel)
        await channel.read()

    def _channel(self, stream: Duplex, whom: str, counter: Counter) -> DealtChannel:
        ahead = self._settings.deal_ahead, self._settings.deal_ahead_mib << 20
        return DealtChannel(stream, whom, counter, MESSAGES, *ahead)

    def _check_attempt(self, party: Member, attempt: int) -> None:
        if attempt != self._attempt:
            text = f"the {party.value} is at another attempt of job {self.record.id}"
            raise JobStateError(text, job=self.record.id, expected=self._attempt, got=attempt)

    async def match(self, party: Member, call: Call, hello: Hello, greeted: int) -> None:
        """Serves one party's stream of tags, of which `greeted` bytes were read, until both know which are common."""
        self._check_attempt(party, hello.attempt)
        if not self._matching:
            raise PlanError("the plan of this job does not have the coordinator match ids")
        seat, whom = self._seat(party, hello.line), f"the {party.value}"
        matching = self._matching[seat[1]]
        self._counters[party].received += greeted
        if hello.lane:
            await self._match_lanes.serve(seat, call, hello)
            matching.check()
            return
        Wish.of(hello, whom)
        if seat in self._match_lanes or matching.joined(party.role):
            raise PlanError(f"{whom} joined the matching twice")
        try:
            stream = await self._match_lanes.first(seat, call, hello, whom)
            with within(Place(self.record.id, f"match for {whom}")):
                await matching.serve(party.role, stream)
        finally:
            await self._match_lanes.end(seat)

    def _seat(self, member: Member, line: int) -> Seat:
        """The seat a party asks for. Raises PeerProtocolError for one that is not its own; line: from 1, 0 for one bank."""
        place = line - 1 if isinstance(self.record.plan, SeveralPlan) else line
        if (member, place) not in self._joined:
            raise PeerProtocolError(f"the {member.value} asks for a line of job {self.record.id} that is not its own", got=line)
        return member, place

    @property
    def counters(self) -> dict[str, Counter]:
        """Bytes to and from each party, by its name."""
        return {party.value: counter for party, counter in self._counters.items()}

    def outstanding(self, party: Member) -> int:
        """Arrays dealt to this party and not yet consumed."""
        own = sum(channel.outstanding for (member, _), channel in self._channels.items() if member == party)
        return own + self._rows.outstanding[party.role]

    async def _deal_all(self) -> None:
        await self._within(_all(self._joined), "the parties did not all ask for their correlations")
        found = [{p: self._joined[member, k].result() for p, member in pair.items()} for k, pair in enumerate(self._lines)]
        demands = [{party: one.channel.demands() for party, one in line.items()} for line in found]
        channels = [{party: one.channel for party, one in line.items()} for line in found]
        nonces = [{party: one.nonce for party, one in line.items()} for line in found]
        keys = [{party: one.key for party, one in line.items()} for line in found]
        plan, means = self._plan, (self._settings.memory_mib << 20, self._settings.max_rows, self._settings.workers)
        dealt = dealings(plan, *means) if plan is not None else {}
        if isinstance(plan, SeveralPlan):
            common = [{party: one.common for party, one in line.items()} for line in found]
            more, names = together(plan, *means), [f"the {member.value}" for member in self.members[1:]]
            await SeveralDealer(channels, nonces, keys, common, names, clock=thread_time).serve(demands, dealt, more)
        else:
            how: Any = {"nonces": nonces[0], "keys": keys[0], "clock": thread_time, "runs": self._rows.channels}
            await Dealer(dict(channels[0]), **how).serve(demands[0], dealt)

    def _keep_reports(self) -> None:
        for party, done in self._done.items():
            self.record.party(party).report.CopyFrom(done.result())
        grid, *banks = (party_pb2.LinkBytes(sent=c.sent, received=c.received) for c in self._counters.values())
        live = iter(banks)  # one that was left out has no bytes
        every = [party_pb2.LinkBytes() if bank.left_out else next(live) for bank in self.record.message.banks]
        dealer = coordinator_pb2.DealerReport(peak_mib=peak_mib(), grid=grid, bank=banks[0], banks=every)
        self.record.message.dealer.CopyFrom(dealer)
        self.record.mirror()

    async def _tell_all(self, message: party_pb2.ToParty) -> None:
        for party in self.members:
            await self._tell(party, message)

    async def _stop_parties(self, fault: Fault) -> None:
        stop = party_pb2.Stop(job=self.record.id, fault=fault, waits=not self.record.state.final)
        for party in self.members:
            with suppress(WattScoreError):
                await self._tell(party, party_pb2.ToParty(stop=stop))


def _all(futures: Mapping[Any, asyncio.Future[Any]]) -> asyncio.Future[list[Any]]:
    """All results. One that is cancelled, as when a job fails, is not logged as an error that nobody looked at."""
    return unheard(asyncio.gather(*futures.values()))
