"""The neutral process's part in matching: two streams of ascending tags in, and to each party, which of its own are common.

It runs at the coordinator and may not know an id: a tag is a keyed hash under a key that only the parties have. The streams
are merged as they come, so that a piece of each is all that is held, however many tags there are. PROTOCOL.md section 8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError, PolicyError
from common.match.tags import PIECE, Marks, Tags, count_up_to, is_ascending, mark_common
from common.mpc.session import Channel, Kind, Round
from common.party import Party


async def intersect(lines: Mapping[Party, Channel], most: int) -> int:
    """Serves one matching over a line to each party; returns how many tags are common.

    1. each party says how many tags it has and how many the other one told it of; no more than `most`
    2. each sends its tags, ascending, in pieces; they are merged
    3. each is told a bit for each of its tags

    Raises PolicyError for too many ids, PeerProtocolError for numbers that do not agree, tags that do not ascend, and
    messages of another form.
    """
    grid, bank = (_Sender(party, lines[party]) for party in Party)
    for sender in (grid, bank):
        await sender.declare(most)
    if (grid.count, grid.other) != (bank.other, bank.count):
        raise PeerProtocolError(
            "the parties do not agree on how many ids they match",
            expected=f"{grid.count} and {grid.other}, as the grid says",
            got=f"{bank.other} and {bank.count} from the bank",
        )
    while await grid.fill() and await bank.fill():
        await asyncio.to_thread(_merge, grid, bank)
    for sender in (grid, bank):
        await sender.drain()
    for sender in (grid, bank):
        await sender.tell()
    return int(grid.marks.sum())


def _merge(grid: _Sender, bank: _Sender) -> None:
    """Compares the tags up to where the first of the two pieces ends."""
    last = min(grid.pending[-1], bank.pending[-1], key=lambda tag: tuple(tag.tolist()))
    for sender, marks in zip((grid, bank), mark_common(grid.up_to(last), bank.up_to(last)), strict=True):
        sender.settle(marks)


class _Sender:
    """One party's tags as they come: those not compared yet, and what is known of the others."""

    def __init__(self, party: Party, line: Channel) -> None:
        self._whom, self._line = f"the {party.value}", line
        self._messages = self._came = self._settled = 0
        self._last = (-1, -1)
        self.count = self.other = 0
        self.pending: Tags = np.empty((0, 2), np.uint64)
        self.marks: Marks = np.empty(0, np.bool_)

    async def declare(self, most: int) -> None:
        """Takes how many tags will come, before memory is given for their marks."""
        said = await self._take(Kind.PSI_SIZES, (2,))
        self.count, self.other = int(said[0]), int(said[1])
        if self.count > most:
            raise PolicyError(
                f"{self._whom} brings {self.count} ids, more than max_ids = {most} of the coordinator",
                remedy="Bring fewer ids, or have the coordinator's operator raise max_ids.",
            )
        self.marks = np.zeros(self.count, np.bool_)

    async def fill(self) -> bool:
        """Whether there are tags to compare: takes the next piece when all before it are."""
        if not len(self.pending) and self._came < self.count:
            piece = await self._take(Kind.PSI_TAGS, (min(PIECE, self.count - self._came), 2))
            if tuple(piece[0].tolist()) <= self._last or not is_ascending(piece):
                raise PeerProtocolError(f"{self._whom} sent tags that do not ascend, or one twice")
            self.pending, self._came, self._last = piece, self._came + len(piece), tuple(piece[-1].tolist())
        return len(self.pending) > 0

    def up_to(self, last: Tags) -> Tags:
        return self.pending[: count_up_to(self.pending, last)]

    def settle(self, marks: Marks) -> None:
        """Keeps the marks of the first of the pending tags, which are compared now."""
        self.marks[self._settled : self._settled + len(marks)] = marks
        self._settled, self.pending = self._settled + len(marks), self.pending[len(marks) :]

    async def drain(self) -> None:
        """Takes the rest, to which the other party has no more tags."""
        while await self.fill():
            self.settle(np.zeros(len(self.pending), np.bool_))

    async def tell(self) -> None:
        await self._line.send(Round(Kind.PSI_COMMON, 1), np.packbits(self.marks))

    async def _take(self, kind: Kind, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
        self._messages += 1
        label = Round(kind, self._messages)
        values = await self._line.receive(label)
        if values.dtype != np.uint64 or values.shape != shape:
            raise PeerProtocolError(
                f"{self._whom} sent another number of tags than it said",
                round=label,
                expected=f"uint64 {shape}",
                got=f"{values.dtype} {values.shape}",
            )
        return values
