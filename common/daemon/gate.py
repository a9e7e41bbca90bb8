"""Jobs that a party's policy has people look at before they run: held, then gone on with or refused, as these say."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping

from common.daemon.granted import check_pinned
from common.errors import PeerProtocolError, PolicyError
from common.home.approvals import HeldJob, Verdict
from common.home.home import Home
from common.plan.read import AnyPlan
from common.wire import party_pb2 as wire

_log = logging.getLogger(__name__)

_LOOK, _SAY = 1.0, 10  # seconds between two looks at the book; looks after which a word is told again


class Gate:
    """What people of this party have to say before a job runs."""

    def __init__(self, home: Home, whose: str) -> None:
        """whose: the party's name, for errors."""
        self._home, self._whose = home, whose
        self._told: dict[str, int] = {}

    def holds(self, job: str, plan: AnyPlan, client: str, pins: Mapping[str, str], *, direct: bool) -> bool:
        """Whether this job waits for people, who can look at it from now on.

        pins: the grants that it rests on. Raises PolicyError for one that was denied, or of which nobody said anything in
        time; for one that cannot wait; and where other grants have come since people could look at it. Raises
        PeerProtocolError for the name of what waits here and no coordinator has offered.
        """
        policy, approvals = self._home.policy, self._home.approvals
        if plan.kind not in policy.hold:
            return False
        if direct:
            raise PolicyError(
                f"people of the {self._whose} approve each job of kind {plan.kind!r}, which one without the coordinator"
                " cannot wait for",
                remedy="Submit it through the coordinator, or agree with this party on `hold` in its policy.",
            )
        digest = plan.digest().hex()
        held = next((one for one in approvals.held() if one.job == job), None)
        if held is not None and held.own:
            text = f"the coordinator offered job {job}, whose name is this party's own"
            raise PeerProtocolError(text, remedy="Do not trust it.")
        if held is not None and (held.digest, held.client) != (digest, client):
            approvals.forget(job)  # another plan under this name: nothing was said of it
            held = None
        if held is None:
            approvals.hold(job, plan.kind, plan.name, client, digest, plan.canonical(), pins)
            return True
        if held.grants is None:
            approvals.pin(job, pins)
            return self._still(held)
        try:
            check_pinned(pins, held.grants, "held")
        except PolicyError:
            self._forget(job)
            raise
        return self._still(held)

    def _still(self, held: HeldJob) -> bool:
        ruling = self._home.approvals.ruling(held)
        if ruling.verdict is Verdict.WAITS:
            return True
        self._forget(held.job)
        if ruling.verdict is Verdict.DENIED:
            note = ruling.words[-1].note
            raise PolicyError(f"a person of the {self._whose} has denied this job" + (f": {note}" if note else ""))
        if ruling.verdict is Verdict.EXPIRED:
            raise PolicyError(
                f"nobody of the {self._whose} has approved this job within {self._home.policy.hold_days:g} days (hold_days)",
                remedy="Ask a person there, then submit it again.",
            )
        return False

    def waiting(self) -> list[str]:
        """The jobs that are held here."""
        return [held.job for held in self._home.approvals.held() if not held.own]

    def over(self, job: str) -> bool:
        """The job has ended elsewhere; whether it was held here. What is this party's own no coordinator ends."""
        return job in self.waiting() and self._forget(job)

    def _forget(self, job: str) -> bool:
        self._told.pop(job, None)
        return self._home.approvals.forget(job)

    def _decided(self) -> list[HeldJob]:
        try:
            return [held for held in self._home.approvals.decided() if not held.own]
        except (OSError, sqlite3.Error):
            _log.exception("the book of approvals cannot be read")
            return []

    async def tell(self, send: Callable[[wire.FromParty], Awaitable[None]]) -> None:
        """Tells the coordinator of each job about which people have spoken, until it is cancelled; again after a while.

        A word that comes while the other party is still asked is not taken.
        """
        self._told.clear()
        while True:
            for held in await asyncio.to_thread(self._decided):
                count = self._told[held.job] = self._told.get(held.job, -1) + 1
                if count % _SAY == 0:
                    await send(wire.FromParty(ready=wire.Ready(job=held.job)))
            await asyncio.sleep(_LOOK)
