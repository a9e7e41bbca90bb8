"""The rounds that the grid has with all banks at once, who act there as one party. PROTOCOL.md section 16."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.mpc.beside import side_by_side
from common.mpc.session import Array, Kind, Session
from common.party import Party


class Lines(Session):
    """The grid's end: each array goes to every bank, and what comes must be the same from all of them.

    A bank has its own session with the grid at its end. These rounds are numbered and entered in those of each bank.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        first = sessions[0]
        super().__init__(Party.GRID, first._peer, first.reporter, allowed=first._allowed, enter=first._enter)
        self.openings = first.openings
        self._lines = tuple(sessions)

    async def post(self, kind: Kind, mine: Array) -> None:
        await side_by_side(line.post(kind, mine) for line in self._lines)
        self.traffic.rounds += 1

    async def collect(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
        """Raises PeerProtocolError, naming the bank, where one says another thing than the first."""
        first, *others = await self.each(kind, dtype, shape)
        for line, theirs in zip(self._lines[1:], others, strict=True):
            if not np.array_equal(first, theirs):
                raise PeerProtocolError(
                    f"{line.whom} says another thing than {self._lines[0].whom}, where all banks say the same",
                    got=kind.value,
                    remedy="All banks must run the same version, on the same plan and with columns of one meaning.",
                )
        return first

    async def each(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> list[Array]:
        """What each bank says, in the plan's order, where it need not be the same."""
        return await side_by_side(line.collect(kind, dtype, shape) for line in self._lines)

    async def common(self, kind: Kind, mine: Array) -> Array:
        """Each bank hears what all of them and the grid have, and not before each has said it."""
        found = mine
        for theirs in await self.each(kind, mine.dtype, mine.shape):
            found = np.where(np.isin(found, theirs), found, 0).astype(mine.dtype)
        await self.send(kind, found)
        return found

    async def _posted(self) -> None:
        await side_by_side(line._posted() for line in self._lines)


class SpokenLines(Lines):
    """The same where the first bank speaks for all, with words under pads that all of them have.

    Were each to say them, a grid that tells banks unlike things would hear unlike words under one pad.
    """

    async def collect(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
        return await self._lines[0].collect(kind, dtype, shape)

    @asynccontextmanager
    async def together(self, *, throughout: bool = False) -> AsyncIterator[None]:
        """What the other banks are told within, who say nothing, leaves for each as one message: see `Session.together`."""
        async with AsyncExitStack() as held:
            for line in self._lines[1:]:
                await held.enter_async_context(line.together(throughout=throughout))
            yield
