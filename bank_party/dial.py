"""The bank's side of a meeting: it dials the grid, and serves nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from bank_party.settings import BankSettings
from common.daemon.account import Account
from common.daemon.meet import PATIENCE, Approach, Take
from common.errors import PeerLost, PeerProtocolError
from common.party import Identity
from common.unheard import unheard
from common.wire.client import Connection, Stream, close_all
from common.wire.lanes import FEWER, Braid, Duplex, Wish, greet, lane_key
from common.wire.lanes import PATIENCE as LANE_PATIENCE
from common.wire.methods import EXCHANGE
from common.wire.peer import Counter, FrameChannel, Stands, check_plan, greeting, lane_greeting, read_greeting
from common.wire.peer_pb2 import Frame
from common.wire.rows import Road, Roads, dial
from common.wire.tls import Credentials

_log = logging.getLogger(__name__)

REACH = 8.0  # seconds in which a grid that is not reached is dialled again
_PAUSE = 0.3


def approach(settings: BankSettings, credentials: Credentials) -> Approach:
    grid = Connection(settings.peer.address, settings.peer.who, credentials)
    return Approach(Dial(grid), connections=(grid,))


class Dial:
    """A stream of its own for each job."""

    def __init__(self, grid: Connection) -> None:
        self._grid = grid
        self._staffed: Callable[[], bool] = lambda: False
        self._roads: dict[str, Roads] = {}
        self._runs: dict[Road, tuple[Stream, Connection]] = {}
        self._streams: dict[str, list[Stream]] = {}
        self._apart: dict[str, list[Connection]] = {}
        self._plans: dict[str, str] = {}

    def listen(self, take: Take) -> None:
        pass  # the grid asks for nothing

    def staff(self, ready: Callable[[], bool]) -> None:
        self._staffed = ready

    def expect(self, job: str, plan: str = "", attempt: int = 0, banks: Sequence[Identity] = ()) -> None:
        self._plans[job] = plan

    def forget(self, job: str) -> None:
        self._plans.pop(job, None)
        self._roads.pop(job, None)
        unheard(asyncio.ensure_future(close_all(self._streams.pop(job, []), self._apart.pop(job, []))))

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
        wish = Wish.fresh(lanes, self._staffed())
        hello = greeting(job, digest, account.stands(), self._plans.get(job, ""), attempt, wish=wish)
        first = await self._reached(job, hello)
        theirs = await read_greeting(first, "the grid", PATIENCE)
        check_plan(theirs, digest, "the grid")
        stands = Stands.of(theirs)
        if account.was_late(stands):  # also where this log was restored: the grid sees it too
            await greet(first, greeting(job, digest, account.stands(), attempt=attempt), "the grid", PATIENCE)
        account.take(stands)
        grid = Wish.of(theirs, "the grid")
        self._roads[job] = Roads.agreed(job, attempt, digest, wish, grid)
        stream: Duplex = first
        if (agreed := wish.agreed(grid)) > 1:
            keys = [lane_key(wish, grid, job, attempt, lane) for lane in range(1, agreed)]
            hellos = [lane_greeting(job, digest, attempt, agreed, lane, key) for lane, key in enumerate(keys, 1)]
            stream = Braid([first, *await asyncio.gather(*(self._joined(job, hello) for hello in hellos))])
            _log.info("job %s: %d lanes to the grid", job, agreed)
        channel = FrameChannel(stream, "the grid", counter)
        channel.start()
        return channel

    def roads(self, job: str) -> Roads | None:
        return self._roads.get(job)

    async def reach(self, road: Road, counter: Counter) -> FrameChannel:
        connection = self._grid.apart(road.port)
        channel, stream = await dial(connection, road, counter)
        self._runs[road] = stream, connection
        return channel

    async def leave(self, road: Road) -> None:
        if (found := self._runs.pop(road, None)) is not None:
            await close_all([found[0]], [found[1]])

    async def _joined(self, job: str, hello: Frame) -> Stream:
        """A further stream of the job, over a connection of its own, once the grid has taken it."""
        connection = self._grid.apart()
        self._apart.setdefault(job, []).append(connection)
        stream = connection.stream(EXCHANGE)
        self._streams[job].append(stream)
        lane = f"the grid's lane {hello.hello.lane}"
        await greet(stream, hello, lane, LANE_PATIENCE, FEWER)
        theirs = await read_greeting(stream, lane, LANE_PATIENCE)
        if (theirs.lane, theirs.lanes) != (hello.hello.lane, hello.hello.lanes):
            raise PeerProtocolError(f"{lane} answered as another", expected=hello.hello.lane, got=theirs.lane)
        return stream

    async def _reached(self, job: str, hello: Frame) -> Stream:
        """The job's stream, once the grid has taken the greeting: a line that is cut for a moment fails no job as it begins."""
        end = asyncio.get_running_loop().time() + REACH
        while True:
            stream = self._grid.stream(EXCHANGE)
            self._streams[job] = [stream]
            try:
                await greet(stream, hello, "the grid", PATIENCE)
            except PeerLost:
                if asyncio.get_running_loop().time() > end:
                    raise
                await stream.close()
                await asyncio.sleep(_PAUSE)
            else:
                return stream
