"""The lines on which the parties' tags of one job come in: each is served until both know which of their tags are common."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from common.errors import JobStateError, PlanError
from common.match.intersect import intersect
from common.match.tags import PIECE_BYTES
from common.party import Party
from common.unheard import unheard
from common.wire.lanes import Duplex
from common.wire.peer import Counter, FrameChannel


class Matching:
    """One job's matching. Parties come in by `serve`, while `run` compares. most: ids a party may bring."""

    def __init__(self, counters: Mapping[Party, Counter], most: int) -> None:
        loop = asyncio.get_running_loop()
        self._counters, self._most = counters, most
        self._joined: dict[Party, asyncio.Future[FrameChannel]] = {party: loop.create_future() for party in Party}
        self._over: asyncio.Future[None] = unheard(loop.create_future())

    async def run(self) -> None:
        """Until both parties have been told and have closed their lines. Raises what `intersect` and the lines raise."""
        try:
            lines = {party: await self._joined[party] for party in Party}
            await intersect(lines, self._most)
            for line in lines.values():
                await line.end()
        except Exception as error:
            self._over.set_exception(error)
            raise
        finally:
            if not self._over.done():
                self._over.set_result(None)

    def joined(self, party: Party) -> bool:
        """Whether this one has come; it has not where the job ended before."""
        return self._joined[party].done() and not self._joined[party].cancelled()

    def check(self) -> None:
        """Raises what ended the matching, if something has: whoever serves a lane of it says so too."""
        if self._over.done() and not self._over.cancelled():
            self._over.result()

    async def serve(self, party: Party, stream: Duplex) -> None:
        """One party's line, its greeting read. Raises what ended the matching, so that the party hears it."""
        if self.joined(party):
            raise PlanError(f"the {party.value} joined the matching twice")
        if self._over.done():
            self.check()
            raise JobStateError(f"the job has ended before the {party.value} came to match", remedy="See how it ended.")
        line = FrameChannel(stream, f"the {party.value}", self._counters[party], PIECE_BYTES)
        line.start()
        self._joined[party].set_result(line)
        try:
            await asyncio.shield(self._over)
        finally:
            await line.stop()
