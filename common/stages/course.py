"""How far a job is, as all its parties have it on disk: points to go on from once interrupted. PROTOCOL.md section 10."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from common.errors import DataError, PeerProtocolError, PolicyError
from common.home.unfinished import Points
from common.learn.diary import Progress
from common.mpc.session import Array, Kind, Session
from common.mpc.several.heard import Transcript

MOST = 8  # points of which the parties tell each other
STAGE, _STEP, _ATTEMPT = 48, 16, 0  # bits below each part of a number
_FACTS = "facts"
_HEARD = "heard"  # the fact of what a bank had heard by then that all banks hear
BANKS = "banks"  # the fact of which banks take part


class Point(IntEnum):
    """What a party keeps, in the order in which a job comes to it; 0 is the beginning."""

    ALIGNED = 1  # the order of rows that both know
    PREPARED = 2  # with several banks: what sums over their columns have told
    TRAINING = 3  # what its learner needs after so many steps
    REPORTED = 4  # all is done: what this party reports


class Course:
    """One party's view of the course of a job in one attempt. Without `points` nothing is kept, and every job begins anew.

    attempt: how often the job was interrupted before. banks, left_out: of a job of several those that take part in it, and
    those without which it goes on. heard: at one of several banks. Points are numbered by stage, step and attempt, so that two
    of one number are of one conversation.
    """

    def __init__(
        self,
        session: Session | None = None,
        points: Points | None = None,
        attempt: int = 0,
        banks: Sequence[str] = (),
        left_out: Sequence[str] = (),
        heard: Transcript | None = None,
    ) -> None:
        self._session, self._points, self._attempt = session, points, attempt
        self.banks, self.left_out, self._heard = tuple(banks), tuple(left_out), heard
        self._common = 0
        self.begin: Progress | None = None  # as the diary of a learner
        self.earlier: frozenset[str] = frozenset()  # opened before the point from which this attempt goes on

    async def agree(self) -> None:
        """All go on from the last point that all have, and drop what lies behind it. One round of 64 bytes.

        Raises PolicyError where the other party has lost a point that it had: what came after it may have been told.
        """
        if self._points is None or self._session is None or not self._attempt:
            return
        held = self._points.held()[-MOST:]
        mine = np.zeros(MOST, np.uint64)
        mine[: len(held)] = held
        self._common = int((await self._session.common(Kind.RESUME, mine)).max())
        if self._common < self._points.confirmed:
            raise PolicyError(
                "one of the parties has lost what both had kept of this job, after which more was told",
                remedy="Submit it again.",
            )
        await asyncio.to_thread(self._settle)

    def _settle(self) -> None:
        assert self._points is not None  # noqa: S101
        self._points.drop(lambda number: number > self._common)
        if self._common:
            self._points.confirm(self._common)
            facts = facts_of(self._points.read(self._common))
            self.earlier = frozenset(facts["opened"])
            if self._heard is not None:
                self._heard.go_on(bytes.fromhex(facts.get(_HEARD, "")))
        if (found := self.at(Point.TRAINING)) is not None:
            arrays, facts = found
            kept = {name: array for name, array in arrays.items() if name != _FACTS}
            self.begin = Progress(facts["done"], facts["steps"], kept)

    @property
    def again(self) -> bool:
        """Whether the job was interrupted before."""
        return self._attempt > 0

    def telling(self, job: str) -> str:
        """As what this attempt at the job is charged for what it may tell otherwise than an earlier one told it."""
        return f"{job}#{self._attempt}" if self.again else job

    @property
    def through(self) -> bool:
        """Whether this attempt goes on after the last step of a training: what follows may have been told once already."""
        return self.begin is not None and self.begin.done == self.begin.steps

    @property
    def left(self) -> float:
        """The share of a training's steps that this attempt takes."""
        return 1.0 if self.begin is None else 1.0 - self.begin.done / self.begin.steps

    def at(self, point: Point) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """The arrays and facts kept at this point, which all parties have passed; None where they have not."""
        if self._points is None or self._common >> STAGE < point:
            return None
        number = max((n for n in self._points.held() if n >> STAGE == point), default=0)
        if not number:
            return None
        arrays = self._points.read(number)
        return arrays, facts_of(arrays)

    async def first(self, facts: Mapping[str, str]) -> Mapping[str, str]:
        """What was given here in the first attempt that came so far; where nothing is kept, `facts`."""
        return facts if self._points is None else await asyncio.to_thread(self._points.first, facts)

    async def keep(
        self, point: Point, arrays: Mapping[str, Array], step: int = 0, facts: Mapping[str, Any] | None = None
    ) -> int:
        """Keeps these on disk, with what was opened by now; the point's number. Raises OSError where the disk refuses."""
        number = int(point) << STAGE | step << _STEP | self._attempt << _ATTEMPT
        if self._points is not None and self._session is not None:
            opened = sorted({value.value for value in self._session.opened} | self.earlier)
            told = {**(facts or {}), **({BANKS: self.banks} if self.banks else {}), "opened": opened}
            if self._heard is not None:
                told[_HEARD] = self._heard.digest().hex()
            said = np.frombuffer(json.dumps(told).encode(), np.uint8)
            await asyncio.to_thread(self._points.write, number, {**arrays, _FACTS: said})
        return number

    async def enter(self, progress: Progress) -> None:
        """Keeps it; see `learn.diary`. The last one before it stays: the other party may not have come farther."""
        facts = {"done": progress.done, "steps": progress.steps}
        number = await self.keep(Point.TRAINING, progress.arrays, progress.done, facts)
        if self._points is None:
            return
        own = [held for held in self._points.held() if held >> STAGE == Point.TRAINING]
        await asyncio.to_thread(self._points.drop, lambda held: held in own[:-2])
        if progress.done == progress.steps:
            await self._confirm(number)

    async def _confirm(self, number: int) -> None:
        """One round of 8 bytes: all have it. Only then is anything told that depends on it."""
        assert self._points is not None and self._session is not None  # noqa: S101
        mine = np.array([number], np.uint64)
        if not np.array_equal(mine, await self._session.common(Kind.RESUME, mine)):
            raise PeerProtocolError(
                "another party is at another point", remedy="Both sides must run the same version and plan."
            )
        await asyncio.to_thread(self._points.confirm, number)


def facts_of(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """What stands beside the arrays of a point. Raises DataError for a point of another release."""
    try:
        found: dict[str, Any] = json.loads(arrays[_FACTS].tobytes())
        return found
    except (KeyError, ValueError):
        text = "what was kept of an interrupted job is of another release"
        raise DataError(text, public=text, remedy="Submit it again.") from None
