"""The grid's side of a meeting: it serves `Peer.Exchange`, and jobs wait for the bank."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from common.daemon.account import Account
from common.daemon.meet import PATIENCE, Approach, Take
from common.errors import IdentityError, PeerLost, PeerProtocolError
from common.party import Identity
from common.wire.lanes import FEWER, ONE_PROCESS, Braid, Duplex, Further, Wish, greet, lane_key
from common.wire.lanes import PATIENCE as LANE_PATIENCE
from common.wire.methods import PEER
from common.wire.peer import Counter, FrameChannel, Stands, check_plan, greeting, lane_greeting, read_greeting
from common.wire.peer_pb2 import Hello
from common.wire.rows import Gate, Road, Roads
from common.wire.server import Call, Service
from common.wire.tls import Credentials
from grid_party.settings import GridSettings

_log = logging.getLogger(__name__)


def approach(settings: GridSettings, credentials: Credentials) -> Approach:
    door = Door(settings.peer.who, settings.others[1:], ports=settings.worker_ports)
    return Approach(door, services=(Service(PEER, {"Exchange": door.exchange}),))


class Door:
    """The handler of `Peer.Exchange`, and where jobs wait for a bank. more: banks besides the one that is meant by default."""

    def __init__(self, bank: Identity, more: Sequence[Identity] = (), *, ports: Sequence[int] = ()) -> None:
        """ports: on which this party's workers wait for the bank."""
        self._ports, self._gate = ports, Gate()
        self._staffed: Callable[[], bool] = lambda: False
        self._roads: dict[str, Roads] = {}
        self._bank, self._known = bank, (bank, *more)
        self._arrived: dict[str, dict[Identity, asyncio.Future[tuple[Call, Hello]]]] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._further: dict[str, Further[Call]] = {}
        self._attempts: dict[str, int] = {}
        self._take: Take | None = None

    def listen(self, take: Take) -> None:
        self._take = take

    def staff(self, ready: Callable[[], bool]) -> None:
        self._staffed = ready

    def expect(self, job: str, plan: str = "", attempt: int = 0, banks: Sequence[Identity] = ()) -> None:
        loop = asyncio.get_running_loop()
        self._attempts[job] = attempt
        self._arrived[job] = {bank: loop.create_future() for bank in banks or (self._bank,)}
        self._over[job] = asyncio.Event()

    def forget(self, job: str) -> None:
        self._attempts.pop(job, None)
        self._roads.pop(job, None)
        if (further := self._further.pop(job, None)) is not None:
            further.stop()
        for arrived in self._arrived.pop(job, {}).values():
            arrived.cancel()
        if (over := self._over.pop(job, None)) is not None:
            over.set()

    async def exchange(self, _: None, call: Call) -> None:
        """Serves one stream for as long as its job runs. Raises IdentityError unless a bank calls that is expected."""
        hello = await read_greeting(call, "the bank", PATIENCE)  # first: a refusal before it could cross it, and be lost
        if call.identity not in self._known:
            known = self._bank if len(self._known) == 1 else ", ".join(map(str, self._known))
            raise IdentityError("only the bank may exchange", expected=known, got=call.identity)
        if hello.row_lane:
            await self._gate.take(hello, call)
            return
        if hello.lane:
            await self._joined(hello, call)
            return
        if hello.plan and self._take is not None:
            await self._take(hello.job, hello.plan, call.identity)
        arrived, over = self._arrived.get(hello.job, {}).get(call.identity), self._over.get(hello.job)
        if arrived is None or over is None or arrived.done() or hello.attempt != self._attempts[hello.job]:
            raise PeerProtocolError(f"no job {hello.job} waits for the bank here", remedy="Submit it through the coordinator.")
        arrived.set_result((call, hello))
        await over.wait()

    async def _joined(self, hello: Hello, call: Call) -> None:
        """Serves a further stream of a job that has met its bank on a first one, for as long as the job runs."""
        further, over = self._further.get(hello.job), self._over.get(hello.job)
        if further is None or over is None or hello.attempt != self._attempts[hello.job]:
            raise PeerProtocolError(f"no job {hello.job} waits for lanes here", remedy=ONE_PROCESS)
        further.take(call.identity, hello.job, hello.lane, hello.key, call)
        await over.wait()

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
        whom = "the bank" if bank is None else f"the bank {bank.org}"
        try:
            async with asyncio.timeout(PATIENCE):
                call, theirs = await asyncio.shield(self._arrived[job][bank or self._bank])
        except TimeoutError:
            raise PeerLost(
                f"{whom} did not connect within {PATIENCE:.0f} s",
                remedy="Check at the bank that it can reach this address.",
            ) from None
        own, wish = Wish.fresh(lanes, *((True, self._ports) if self._staffed() else ())), Wish.of(theirs, whom)
        self._roads[job] = Roads.agreed(job, attempt, digest, wish, own, str(call.identity))
        agreed = own.agreed(wish)
        if agreed > 1:  # before the bank can know of it
            keys = [lane_key(wish, own, job, attempt, lane) for lane in range(1, agreed)]
            self._further[job] = Further(call.identity, keys)
        await greet(call, greeting(job, digest, account.stands(), attempt=attempt, wish=own), whom, PATIENCE)
        check_plan(theirs, digest, whom)
        if account.is_late(stands := Stands.of(theirs)):
            stands = Stands.of(await read_greeting(call, whom, PATIENCE))
        account.take(stands)
        stream: Duplex = call
        if agreed > 1:
            calls = await self._further[job].all(whom)
            for lane, further in enumerate(calls, 1):
                hello = lane_greeting(job, digest, attempt, agreed, lane)
                await greet(further, hello, f"lane {lane} of {whom}", LANE_PATIENCE, FEWER)
            stream = Braid([call, *calls])
            _log.info("job %s: %d lanes to %s", job, agreed, whom)
        channel = FrameChannel(stream, whom, counter)
        channel.start()
        return channel

    def roads(self, job: str) -> Roads | None:
        return self._roads.get(job)

    async def reach(self, road: Road, counter: Counter) -> FrameChannel:
        return await self._gate.meet(road, counter)

    async def leave(self, road: Road) -> None:
        self._gate.leave(road)
