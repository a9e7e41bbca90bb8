"""Several computations side by side whose rounds go together, so that a slow line is waited for once and not for each.

Where all of them run the same steps, what they send in one step travels as one message, one after the other in their order.
Where one has turns of its own, these come within the rounds of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError
from common.mpc.beside import side_by_side
from common.mpc.session import Array, Kind, Session
from common.party import Party

T = TypeVar("T")
R = TypeVar("R")


class Exchanges(Protocol):
    """What a computation that sends nothing one way asks of a session."""

    @property
    def party(self) -> Party: ...

    async def exchange(self, kind: Kind, mine: Array, *, shape: tuple[int, ...] | None = None) -> Array: ...

    async def compute(self, work: Callable[[], T], words: int) -> T: ...


class Rounds(Exchanges, Protocol):
    """What a computation asks of a session: one of its own, or a lane beside others."""

    async def send(self, kind: Kind, mine: Array) -> None: ...

    async def receive(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array: ...


class Between(Generic[R]):
    """A session's rounds, in each of which, once this side has sent its array, another computation has a turn.

    turns: what that gives, None but for its result at the end. In a turn it may take what was posted in earlier ones. Both
    parties run the same two, so arrays come in one order: on a slow line the turns take no time.
    """

    def __init__(self, session: Session, turns: AsyncIterator[R | None]) -> None:
        self._session, self._turns, self._result = session, turns, list[R]()

    @property
    def party(self) -> Party:
        return self._session.party

    async def exchange(self, kind: Kind, mine: Array, *, shape: tuple[int, ...] | None = None) -> Array:
        await self._session.post(kind, mine)
        if (found := await anext(self._turns, None)) is not None:
            self._result.append(found)
        return await self._session.collect(kind, mine.dtype, mine.shape if shape is None else shape)

    async def compute(self, work: Callable[[], T], words: int) -> T:
        return await self._session.compute(work, words)

    async def rest(self) -> R:
        """The result, after the turns that are left."""
        self._result += [found async for found in self._turns if found is not None]
        (found,) = self._result
        return found


@dataclass(frozen=True, repr=False)
class _Step:
    """A lane's part of a step: what it sends, if anything, and the shape of what it takes, if anything."""

    kind: Kind
    dtype: np.dtype[np.generic]
    mine: Array | None
    shape: tuple[int, ...] | None
    done: asyncio.Future[Array]


class Lane:
    """The rounds of one of several computations."""

    def __init__(self, lockstep: Lockstep, number: int) -> None:
        self._lockstep, self._number = lockstep, number

    @property
    def party(self) -> Party:
        return self._lockstep.session.party

    async def exchange(self, kind: Kind, mine: Array, *, shape: tuple[int, ...] | None = None) -> Array:
        return await self._lockstep.step(self._number, kind, mine.dtype, mine, mine.shape if shape is None else shape)

    async def send(self, kind: Kind, mine: Array) -> None:
        await self._lockstep.step(self._number, kind, mine.dtype, mine, None)

    async def receive(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
        return await self._lockstep.step(self._number, kind, np.dtype(dtype), None, shape)

    async def compute(self, work: Callable[[], T], words: int) -> T:
        return await self._lockstep.session.compute(work, words)


class Lockstep:
    """As many lanes over one session as are run. A step takes place once every lane has come to it."""

    def __init__(self, session: Session, lanes: int) -> None:
        self.session, self._lanes = session, lanes
        self._waiting: dict[int, _Step] = {}

    async def run(self, work: Sequence[Callable[[Rounds], Awaitable[T]]]) -> list[T]:
        """The results of all, each given its lane; the first error ends all of them."""
        return await side_by_side(one(lane) for one, lane in zip(work, self.lanes(), strict=True))

    def lanes(self) -> list[Rounds]:
        """Of each computation, in their order; of one alone the session itself."""
        return [self.session] if self._lanes == 1 else [Lane(self, number) for number in range(self._lanes)]

    async def step(
        self, lane: int, kind: Kind, dtype: np.dtype[np.generic], mine: Array | None, shape: tuple[int, ...] | None
    ) -> Array:
        """What this lane takes in this step; an empty array if it takes nothing."""
        done: asyncio.Future[Array] = asyncio.get_running_loop().create_future()
        self._waiting[lane] = _Step(kind, dtype, mine, shape, done)
        if len(self._waiting) == self._lanes:
            steps = [self._waiting[number] for number in range(self._lanes)]
            self._waiting = {}
            try:
                for step, taken in zip(steps, await self._together(steps), strict=True):
                    step.done.set_result(taken)
            except BaseException as error:
                for step in steps:
                    if not step.done.done():
                        step.done.set_exception(error)
        return await done

    async def _together(self, steps: Sequence[_Step]) -> list[Array]:
        kind, dtype = steps[0].kind, steps[0].dtype
        if any((step.kind, step.dtype) != (kind, dtype) for step in steps):
            raise LocalProtocolError("computations side by side are at different steps")
        sent = [step.mine.ravel() for step in steps if step.mine is not None]
        sizes = [0 if step.shape is None else int(np.prod(step.shape, dtype=np.int64)) for step in steps]
        takes, total = any(step.shape is not None for step in steps), (sum(sizes),)
        if sent and takes:
            received = await self.session.exchange(kind, np.concatenate(sent), shape=total)
        elif sent:
            await self.session.send(kind, np.concatenate(sent))
            received = np.empty(0, dtype)
        else:
            received = await self.session.receive(kind, dtype, total)
        found, low = [], 0
        for step, size in zip(steps, sizes, strict=True):
            part = received[low : low + size]
            found.append(part if step.shape is None else part.reshape(step.shape))
            low += size
        return found
