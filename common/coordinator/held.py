"""The jobs that parties hold until their people say that these may run: out of the queue, so that others go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from common.coordinator.board import Board, JobRecord
from common.party import Member
from common.plan.job_states import Event, State


class Held:
    """members: a job's parties. records: those that were held when this process ended last."""

    def __init__(
        self, board: Board, members: Callable[[JobRecord], Sequence[Member]], records: Iterable[JobRecord] = ()
    ) -> None:
        self._board, self._members = board, members
        self._records = {record.id: record for record in records}

    def of(self, submitter: str) -> int:
        """How many of this client's are held."""
        return sum(r.message.submitter == submitter and r.state is State.HELD for r in self._records.values())

    def keep(self, record: JobRecord) -> None:
        self._records[record.id] = record

    def forget(self, record: JobRecord) -> None:
        """It is held no more, as where it was cancelled; one that never was stays unknown."""
        self._records.pop(record.id, None)

    async def ready(self, job: str, party: Member, put: Callable[[JobRecord], Awaitable[None]]) -> None:
        """Puts the job, to be offered again, where `put` says, if this party's word was the last that it waited for."""
        record = self._records.get(job)
        if record is None or record.state is not State.HELD or party not in (members := self._members(record)):
            return
        self._board.hold(record, party, held=False)
        if any(record.party(member).held for member in members):
            return
        try:
            await self._board.move(record, Event.RELEASE)
        finally:  # also where this party's stream ends while watchers are told: nobody else would queue a released job
            self.forget(record)
            if not record.state.final:  # it may have been cancelled just then
                await put(record)
