"""The coordinator's jobs: their records, their state, who waits for a change; written to the journal at every event."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from common.coordinator.journal import Ended, Journal
from common.coordinator.members import members_of
from common.disk.data_folder import Name
from common.errors import JobNotFound, JobStateError, PlanError, WattScoreError
from common.party import Bank, Identity, Member, Party
from common.plan.job_states import Event, State, after
from common.plan.read import AnyPlan, parse_plan
from common.plan.several import MOST_BANKS, SeveralPlan
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2, peer_pb2
from common.wire.status import kind_of, to_fault

MOST, MOST_BYTES = 10_000, 1 << 30
_PLANS = 64  # of jobs that are over, whose plans stay in memory: others are read again from their text
_QUIET = 0.1  # seconds between two messages to a watcher
_MOST_EVENTS = 100  # of one job: a party names its stages, and must not fill the journal with them
_SUBMISSION = re.compile(r"[A-Za-z0-9._-]{0,64}")
_GRANTS, _NAME, _PIN = 2 * MOST_BANKS, 100, 64  # grants of one party that are kept, and characters of each
_SEEN = {
    Event.OFFER: "offered",
    Event.ACCEPTED: "started",
    Event.DONE: "succeeded",
    Event.HOLD: "held",
    Event.RELEASE: "released",
    Event.INTERRUPT: "interrupted",
    Event.FAIL: "failed",
    Event.CANCEL: "cancelled",
}


class JobRecord:
    """One job: its message as clients see it, the parsed plan, and a condition that fires when it changes.

    plan: None where it could not be read, and of a job that was over long ago.
    """

    def __init__(self, message: wire.Job, plan: AnyPlan | None) -> None:
        self.id: str = message.id
        self._message: wire.Job | None = message
        self._over, self.plan = b"", plan
        self._changed: asyncio.Condition | None = None  # while somebody watches
        self._version = 0

    @property
    def message(self) -> wire.Job:
        """Of a job that is over each time a copy."""
        return wire.Job.FromString(self._over) if self._message is None else self._message

    def settle(self) -> int:
        """Keeps no more than the bytes of a job that is over, and says how many.

        Its message takes four times as much, and keeps all that it was ever given: of a job's progress as much again.
        """
        self._over, self._message = self.message.SerializeToString(), None
        return len(self._over)

    @property
    def state(self) -> State:
        return State(self.message.state)

    def party(self, member: Member) -> wire.PartyProgress:
        """What is kept of one party; of several banks each has its own, and the first one's is also the job's `bank`."""
        if isinstance(member, Bank) and isinstance(self.plan, SeveralPlan):
            found: wire.PartyProgress = self.message.banks[self.plan.identities.index(member.who)]
            return found
        return self.message.grid if member is Party.GRID else self.message.bank

    @property
    def left_out(self) -> tuple[Identity, ...]:
        """The banks without which the job goes on."""
        return tuple(Identity.parse(bank.who) for bank in self.message.banks if bank.left_out)

    def mirror(self) -> None:
        """Puts what the first of several banks says where that of one bank would be."""
        if self.message.banks:
            self.message.bank.CopyFrom(next(bank for bank in self.message.banks if not bank.left_out))

    async def touch(self) -> None:
        self._version += 1
        if (changed := self._changed) is not None:
            async with changed:
                changed.notify_all()

    async def versions(self) -> AsyncGenerator[wire.Job]:
        """The record now and after changes, the last one final; quick successions are passed over. To be closed."""
        seen = -1
        while True:
            if self._changed is None:
                self._changed = asyncio.Condition()
            async with (changed := self._changed):
                await changed.wait_for(lambda: self._version != seen)  # noqa: B023
                seen = self._version
            final = self.state.final  # as yielded: it may become final while the watcher is being written to
            if final:
                self._changed = None  # whoever else waits has been told, or looks at the version first
            yield self.message
            if final:
                return
            await asyncio.sleep(_QUIET)


class Board:
    """The jobs this coordinator knows, the newest of those that are over. What a restart interrupted waits when read back.

    most, most_bytes: of jobs that are over. resume: whether jobs wait; else what was not over has failed. known: the parties,
    the grid first; what was not over and is of others has failed.
    """

    def __init__(
        self,
        folder: Path,
        known: Mapping[Identity, Member],
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        *,
        resume: bool = True,
    ) -> None:
        self._journal, self._most, self._most_bytes = Journal(folder / Name.JOBS), most, most_bytes
        self._known, self._records = known, dict[str, JobRecord]()
        self._over: dict[str, int] = {}  # bytes of each job that is over
        self._newest = deque[JobRecord]()  # of these, with their plans
        self._forgotten = self._journal.forgotten()
        self._submissions: dict[tuple[str, str], str] = {}  # jobs by their client and what it calls its request
        for data in self._journal.read():
            record = JobRecord(wire.Job.FromString(data), None)
            self._records[record.id] = record
            self._name(record)
            self._count(record)
            if not record.state.final:
                self._read_back(record, resume)

        self._trim()

    def _read_back(self, record: JobRecord, resume: bool) -> None:
        """A job that was not over when this process ended: it goes on if jobs do, and plan and parties stand."""
        fault = peer_pb2.Fault(
            kind="PeerLost", message="the coordinator restarted", remedy="Submit it again.", origin="coordinator"
        )
        try:
            record.plan = parse_plan(record.message.plan, f"job {record.id}")
            members_of(self._known, record.plan, record.left_out)
            resume = resume or record.state is State.HELD  # it has not begun
        except WattScoreError as error:
            resume, fault = False, to_fault(error, "coordinator")
        if not resume:
            self._move(record, Event.FAIL, fault)
        elif record.state in (State.OFFERED, State.RUNNING):
            self._move(record, Event.INTERRUPT, fault)

    def unfinished(self) -> list[JobRecord]:
        """The jobs that are not over, those that were begun first."""
        found = [record for record in self._records.values() if not record.state.final]
        return sorted(found, key=lambda record: record.state is State.QUEUED)

    def submitted(self, submitter: Identity, submission: str, plan: AnyPlan) -> JobRecord | None:
        """The job that this request has made before, whatever became of it; None for a new request.

        Raises PlanError for an id that is none, JobStateError where it asked for something else.
        """
        if not _SUBMISSION.fullmatch(submission):
            raise PlanError(
                "a submission's id is at most 64 letters, digits and -._", remedy="Use 32 random hexadecimal digits."
            )
        if not submission or (job := self._submissions.get((str(submitter), submission))) is None:
            return None
        if (record := self._records[job]).message.plan != plan.canonical():
            raise JobStateError("this submission was of another plan", job=job, remedy="Use a new id for each submission.")
        return record

    def _name(self, record: JobRecord) -> None:
        if record.message.submission:
            self._submissions[record.message.submitter, record.message.submission] = record.id

    async def add(self, plan: AnyPlan, submitter: Identity, submission: str = "") -> JobRecord:
        now = time.time()
        day = time.strftime("%Y%m%d", time.gmtime(now))
        names = (f"{plan.kind}-{day}-{secrets.token_hex(4)}" for _ in iter(int, 1))
        message = wire.Job(
            id=next(name for name in names if name not in self._records),
            name=plan.name,
            kind=plan.kind,
            state=State.QUEUED.value,
            plan=plan.canonical(),
            submitted=now,
            submitter=str(submitter),
            submission=submission,
        )
        if isinstance(plan, SeveralPlan):
            message.banks.extend(wire.PartyProgress(who=str(bank)) for bank in plan.identities)
        if earlier := self._succeeded(message.plan):
            message.repeats = earlier
        record = JobRecord(message, plan)
        note(record, "client", "submitted")
        self._save(record)  # first: of one that the disk refuses a repeated request would else hear, and wait for ever
        self._records[message.id] = record
        self._name(record)
        return record

    def _succeeded(self, plan: str) -> str | None:
        """The last training of this very plan that has succeeded; a score again is nothing unusual."""
        for record in reversed(self._records.values()):
            message = record.message
            if message.kind == "train" and message.plan == plan and record.state is State.SUCCEEDED:
                return record.id
        return None

    def get(self, job: str) -> JobRecord:
        """Raises JobNotFound."""
        try:
            return self._records[job]
        except KeyError:
            raise JobNotFound(f"no job {job!r}", remedy="`wattscore jobs` lists them.") from None

    def plan_of(self, job: str, seen: Callable[[wire.Job], bool]) -> AnyPlan | None:
        """A job's plan, of those banks that were not left out; None where it is not here, not to be seen, or not read."""
        if (record := self._records.get(job)) is None or not seen(record.message):
            return None
        with suppress(WattScoreError):
            plan = record.plan or parse_plan(record.message.plan, f"job {job}")
            return plan.without(record.left_out) if isinstance(plan, SeveralPlan) else plan
        return None

    def find(self, job: str) -> JobRecord | None:
        return self._records.get(job)

    def all(self) -> list[JobRecord]:
        return list(self._records.values())

    def before(self, job: str) -> Iterator[JobRecord]:
        """The jobs submitted before this one, the newest first; all of them before none. Raises JobNotFound."""
        newest = reversed(self._records.values())
        if job:
            last = self.get(job)
            return itertools.islice(itertools.dropwhile(lambda record: record is not last, newest), 1, None)
        return iter(newest)

    async def move(self, record: JobRecord, event: Event, cause: WattScoreError | peer_pb2.Fault | None = None) -> None:
        """Applies an event; raises JobStateError, and changes nothing, when the state does not allow it."""
        fault = to_fault(cause, "coordinator") if isinstance(cause, BaseException) else cause
        self._move(record, event, fault)
        await record.touch()

    def _move(self, record: JobRecord, event: Event, fault: peer_pb2.Fault | None) -> None:
        state = after(record.state, event, record.id)
        record.message.state = state.value
        if state is State.RUNNING:
            record.message.started = time.time()
        if state.final:
            record.message.ended = time.time()
        if event in (Event.INTERRUPT, Event.HOLD):
            record.message.attempt += 1
            for progress in (record.message.grid, record.message.bank, *record.message.banks):
                progress.ClearField("progress")
        if event is Event.HOLD:
            record.message.holds += 1
        if event is Event.INTERRUPT:
            record.message.interrupted = time.time()
            if fault is not None:
                record.message.disturbed.CopyFrom(fault)
        elif fault is not None:
            record.message.fault.CopyFrom(fault)
        origin = fault.origin if fault is not None and fault.origin else "coordinator"
        note(record, origin, _SEEN[event], most=2 * _MOST_EVENTS)  # how it ended is never left out
        self._save(record)
        self._count(record)
        self._trim()

    def accepted(self, record: JobRecord, party: Member, grants: Sequence[peer_pb2.PinnedGrant] = ()) -> None:
        """From now on this party has what it would go on from. grants: with which it has accepted the job first, few."""
        note(record, party.value, "accepted")
        kept = record.party(party)
        if not kept.accepted:
            for grant in grants[:_GRANTS]:
                kept.grants.add(dataset=grant.dataset[:_NAME], sha256=grant.sha256[:_PIN])
        kept.accepted = True
        self._save(record)

    def leave_out(self, record: JobRecord, banks: Collection[Identity]) -> None:
        """From now on the job goes on without these, for good: all others have agreed to it."""
        for bank in record.message.banks:
            if not bank.left_out and Identity.parse(bank.who) in banks:
                bank.left_out = True
                note(record, f"bank {Identity.parse(bank.who).org}", "left out")
        record.mirror()
        self._save(record)

    def wait_for_all(self, record: JobRecord) -> None:
        """From now on it goes on without no bank more: a party does not let it."""
        record.message.waits_for_all = True
        self._save(record)

    def hold(self, record: JobRecord, party: Member, *, held: bool = True) -> None:
        """Whether the job waits for people of this party."""
        if record.party(party).held != held:
            note(record, party.value, "held" if held else "decided")
        record.party(party).held = held
        record.mirror()
        self._save(record)

    def _count(self, record: JobRecord) -> None:
        if record.state.final:
            self._over[record.id] = record.settle()
            self._newest.append(record)
            if len(self._newest) > _PLANS:
                self._newest.popleft().plan = None

    def _trim(self) -> None:
        """Forgets the jobs that were over first, except the last one."""
        gone: dict[str, Ended] = {}
        left = sum(self._over.values())
        while len(self._over) > 1 and (len(self._over) > self._most or left > self._most_bytes):
            job = next(iter(self._over))
            left -= self._over.pop(job)
            message = self._records.pop(job).message
            self._submissions.pop((message.submitter, message.submission), None)
            gone[job] = _ended(message)
        if gone:
            self._forgotten.update(gone.values())
            self._journal.forget(gone)

    def counts(self) -> Counter[Ended]:
        """How many jobs there were, by how they ended or their state now: those that are forgotten too.

        A count of jobs that are over never falls: Prometheus takes one that does for a new process that has had them all.
        """
        return self._forgotten + Counter(_ended(record.message) for record in self._records.values())

    def _save(self, record: JobRecord) -> None:
        self._journal.write(record.id, record.message.SerializeToString())

    async def progress(self, record: JobRecord, party: Member, progress: party_pb2.Progress) -> None:
        before = record.party(party).progress
        if progress.stage != before.stage:
            note(record, party.value, "stage", progress.stage)
        if len(progress.warnings) > len(before.warnings):
            note(record, party.value, "warned", progress.stage)
        before.CopyFrom(progress)
        record.mirror()
        await record.touch()


def _ended(message: wire.Job) -> Ended:
    return message.kind, message.state, kind_of(message.fault) if message.HasField("fault") else ""


def note(record: JobRecord, who: str, what: str, stage: str = "", most: int = _MOST_EVENTS) -> None:
    """Enters what has happened, with the time, into the job's own history."""
    if len(record.message.events) < most:
        record.message.events.append(wire.JobEvent(at=time.time(), who=who, what=what, stage=stage[:40]))
