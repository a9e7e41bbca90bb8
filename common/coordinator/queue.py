"""The jobs that wait for their turn: it comes to the first whose parties attend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from common.coordinator.board import Board, JobRecord
from common.coordinator.members import members_of, to_leave_out
from common.errors import PeerLost, WattScoreError
from common.party import Identity, Member
from common.plan.job_states import Event, State
from common.plan.several import SeveralPlan
from common.process.settings import CoordinatorSettings

_PAUSE, _MOST_UNMET = 0.25, 7  # seconds before an interrupted job is offered again, doubled at most so often


@dataclass(frozen=True)
class Turn:
    """A job to be offered now. leaving: banks, mostly none, that it is to go on without from now on. None: it has failed."""

    record: JobRecord
    leaving: tuple[Identity, ...] | None = ()


@dataclass(frozen=True)
class _Pause:
    """Until when on the loop's clock a job is not offered again, after so many attempts in which its parties did not meet."""

    unmet: int
    until: float


class Queue:
    """One job runs at a time, in order of submission; one that waits for its parties lets those of other parties go ahead.

    arrivals: notified when a party comes, a job ends, or this process stops. cut: why parties were sent away. records: of the
    jobs that were not over when this process ended last.
    """

    def __init__(
        self,
        settings: CoordinatorSettings,
        board: Board,
        attending: Collection[Member],
        cut: Mapping[Member, WattScoreError],
        arrivals: asyncio.Condition,
        records: Iterable[JobRecord] = (),
    ) -> None:
        self._settings, self._board, self._attending, self._cut, self._arrivals = settings, board, attending, cut, arrivals
        self._records = list(records)
        self._running: JobRecord | None = None
        self._first: JobRecord | None = None
        self._since = 0.0  # when it became the first, on the loop's clock
        self._pauses: dict[str, _Pause] = {}

    def __iter__(self) -> Iterator[JobRecord]:
        """Those behind the one whose turn it is."""
        turn = self._running or next(iter(self._records), None)
        return iter([record for record in self._records if record is not turn])

    async def put(self, record: JobRecord) -> None:
        self._records.append(record)
        async with self._arrivals:
            self._arrivals.notify_all()

    async def drop(self, record: JobRecord) -> None:
        """It is over, or held: else who submits and cancels, again and again, fills the memory while a long job runs."""
        self._pauses.pop(record.id, None)
        if self._first is record:
            self._first = None  # one that was held may come again, and has its time anew
        with suppress(ValueError):
            self._records.remove(record)
        async with self._arrivals:
            self._arrivals.notify_all()

    async def next(self, stopping: asyncio.Event) -> Turn | None:
        """The turn that comes; None once this process stops."""
        async with self._arrivals:
            while not stopping.is_set():
                until = None
                if self._records:
                    turn, until = await self._turn(asyncio.get_running_loop().time())
                    if turn is not None:
                        self._running = turn.record
                        return turn
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._arrivals.wait()
        return None

    async def ended(self, record: JobRecord, *, met: bool) -> None:
        """An attempt is over. A job that is interrupted rests a while, longer each time that its parties do not meet."""
        self._running = None
        if record.state.rests:
            await self.drop(record)
            return
        unmet = 0 if met else min(self._pauses.get(record.id, _Pause(0, 0.0)).unmet + 1, _MOST_UNMET)
        self._pauses[record.id] = _Pause(unmet, asyncio.get_running_loop().time() + _PAUSE * 2**unmet)

    async def _turn(self, now: float) -> tuple[Turn | None, float | None]:
        """Whose turn it is now; for None, when it may be another's though nobody comes."""
        if self._first is not self._records[0]:
            self._first, self._since = self._records[0], now
        moments, before = list[float](), list[set[Member]]()
        for record in self._records:
            members = members_of(self._settings.members, record.plan, record.left_out)
            behind = any(others.issubset(members) for others in before)  # of the same parties, they keep their order
            before.append(set(members))
            if (pause := self._pauses.get(record.id)) is not None and pause.until > now:
                moments.append(pause.until)
                continue
            if not (missing := [party for party in members if party not in self._attending]):
                if behind:
                    continue
                return Turn(record), None
            if (limit := self._limit(record)) is None:
                continue  # its time has not begun
            if (patience := self._patience(record)) is not None:
                if patience <= now and (gone := to_leave_out(record.plan, record.left_out, missing)):
                    return Turn(record, gone), None
                moments += [patience] if patience > now else []
                limit = limit if record.state is State.WAITING else max(limit, patience + 1.0)
            if limit <= now:
                await self._board.move(record, Event.FAIL, self._late(record, missing, limit))
                return Turn(record, None), None
            moments.append(limit)
        return None, min(moments, default=None)

    def _limit(self, record: JobRecord) -> float | None:
        """Until when the job waits for its parties, on the loop's clock: one that has not begun from when it is the first."""
        if record.state is State.WAITING:
            return _moment(record.message.interrupted + self._settings.resume_days * 86_400)
        return self._since + self._settings.attend_timeout if record is self._first else None

    def _patience(self, record: JobRecord) -> float | None:
        """From when the job may go on without banks that are gone; None where it waits for all of them."""
        plan = record.plan
        if not isinstance(plan, SeveralPlan) or plan.min_live is None or record.message.waits_for_all:
            return None
        waits = record.state is State.WAITING
        return (_moment(record.message.interrupted) if waits else self._since) + plan.leave_out_after

    def _late(self, record: JobRecord, missing: Collection[Member], limit: float) -> WattScoreError:
        cut = [self._cut[party] for party in missing if party in self._cut]
        names = " and the ".join(party.value for party in missing)
        waits = record.state is State.WAITING
        within = f"{self._settings.resume_days:g} days" if waits else f"{limit - self._since:.0f} s"
        late = PeerLost(
            f"the {names} did not connect to the coordinator within {within}",
            remedy="Start it, check its coordinator address and its log, and submit again.",
        )
        return cut[0] if cut else late


def _moment(wall: float) -> float:
    """What the loop's clock shows at a time of the wall's."""
    return asyncio.get_running_loop().time() + wall - time.time()
