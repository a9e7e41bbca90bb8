"""How the two parties' streams of one job find each other: one dials, the other waits. Each party's package has its side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.daemon.account import Account
from common.party import Identity
from common.wire.client import Connection
from common.wire.peer import Counter, FrameChannel
from common.wire.rows import Road, Roads
from common.wire.server import Service

PATIENCE = 30.0  # seconds for the other party to appear: it was told to start at the same moment


Take = Callable[[str, str, Identity], Awaitable[None]]
"""Takes a job by name, plan (canonical) and who asks for it; raises why it is refused."""


class Meeting(Protocol):
    """Gives each job its channel to the other party."""

    def listen(self, take: Take) -> None:
        """From now on jobs that the other party asks for by itself, without the coordinator, go to `take`."""

    def staff(self, ready: Callable[[], bool]) -> None:
        """From now on jobs may be told of workers for runs of rows, while these are ready."""

    def expect(self, job: str, plan: str = "", attempt: int = 0, banks: Sequence[Identity] = ()) -> None:
        """The job has been accepted, after so many interruptions: the other party may come.

        plan: canonical, of a job of this party's own that the other has yet to be asked for.
        banks: at the grid who may come, by default its peer.
        """

    def forget(self, job: str) -> None:
        """The job is over: its stream ends."""

    async def meet(
        self,
        job: str,
        digest: bytes,
        counter: Counter,
        account: Account,
        attempt: int = 0,
        bank: Identity | None = None,
        lanes: int = 1,
    ) -> FrameChannel:
        """The channel, after both have greeted and found that they hold the same plan, and that their audit logs go on.

        bank: at the grid which one, by default its peer. lanes: of which it may be made up, at most.
        """

    def roads(self, job: str) -> Roads | None:
        """Once both have met: what they have agreed on for runs of rows; None of a job of several banks."""

    async def reach(self, road: Road, counter: Counter) -> FrameChannel:
        """The channel of a run of rows, once both have greeted on it."""

    async def leave(self, road: Road) -> None:
        """The run is over: its stream ends."""


@dataclass(frozen=True)
class Approach:
    """A party's meeting, with what it serves and whom it dials for that."""

    meeting: Meeting
    services: tuple[Service, ...] = ()
    connections: tuple[Connection, ...] = ()
