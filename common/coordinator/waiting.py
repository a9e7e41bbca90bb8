"""What a job waits for before it is offered: that its parties attend, or, where its plan lets it go on without some, enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from common.coordinator.board import Board, JobRecord
from common.coordinator.members import members_of, to_leave_out
from common.errors import PeerLost, WattScoreError
from common.party import Identity, Member
from common.plan.job_states import Event, State
from common.plan.several import SeveralPlan
from common.process.settings import CoordinatorSettings


class Waiting:
    """arrivals: notified when a party comes, a job ends, or this process stops. cut: why parties were sent away."""

    def __init__(
        self,
        settings: CoordinatorSettings,
        board: Board,
        attending: Collection[Member],
        cut: Mapping[Member, WattScoreError],
        arrivals: asyncio.Condition,
        stopping: asyncio.Event,
    ) -> None:
        self._settings, self._board, self._attending, self._cut = settings, board, attending, cut
        self._arrivals, self._stopping = arrivals, stopping

    async def all_attend(self, record: JobRecord) -> tuple[Identity, ...] | None:
        """Waits for the job's parties: the banks, mostly none, that it is to go on without from now on.

        None for a job that has ended meanwhile, also because they did not come in time.
        """
        wanted, waits = members_of(self._settings.members, record.plan, record.left_out), record.state is State.WAITING
        patience = _patience(record)
        limit = self._left(record) if waits else self._settings.attend_timeout
        if patience is not None and not waits:
            limit = max(limit, patience + 1.0)

        def missing() -> list[Member]:
            return [party for party in wanted if party not in self._attending]

        def ready() -> bool:
            return not missing() or record.state.final or self._stopping.is_set()

        def gone() -> tuple[Identity, ...]:
            return () if patience is None or ready() else to_leave_out(record.plan, record.left_out, missing())

        try:
            async with self._arrivals, asyncio.timeout(limit):
                if patience is not None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._arrivals.wait_for(ready), patience)
                await self._arrivals.wait_for(lambda: ready() or gone())
                return None if record.state.final else gone()
        except TimeoutError:
            if record.state.final:  # cancelled at the last moment
                return None
            if not missing():
                return ()
            names = " and the ".join(party.value for party in missing())
            within = f"{self._settings.resume_days:g} days" if waits else f"{limit:.0f} s"
            error = PeerLost(
                f"the {names} did not connect to the coordinator within {within}",
                remedy="Start it, check its coordinator address and its log, and submit again.",
            )
            cut = [self._cut[party] for party in missing() if party in self._cut]
            await self._board.move(record, Event.FAIL, cut[0] if cut else error)
            return None

    def _left(self, record: JobRecord) -> float:
        """Seconds for which an interrupted job still waits."""
        gone = max(0.0, time.time() - record.message.interrupted)
        return max(0.0, self._settings.resume_days * 86_400 - gone)


def _patience(record: JobRecord) -> float | None:
    """Seconds after which the job may go on without banks that are gone; None where it waits for all of them."""
    plan = record.plan
    if not isinstance(plan, SeveralPlan) or plan.min_live is None or record.message.waits_for_all:
        return None
    gone = time.time() - record.message.interrupted if record.state is State.WAITING else 0.0
    return max(0.0, plan.leave_out_after - gone)
