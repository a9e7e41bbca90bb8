"""One run of rows at one party: its streams to the other party and to who deals, in the daemon or in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from common.daemon.meet import PATIENCE, Meeting
from common.home.dealt import HeardRun
from common.learn.dealings import MESSAGES
from common.learn.learners import runs_of
from common.mpc.abreast import Account, RunSession
from common.mpc.beside import ending
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Words
from common.party import Party
from common.wire import party_pb2 as wire
from common.wire.client import Connection, close_all
from common.wire.dealing import DealerChannel
from common.wire.lanes import greet
from common.wire.lines import WHOM
from common.wire.methods import DEAL
from common.wire.peer import Counter, FrameChannel
from common.wire.peer_pb2 import Fault
from common.wire.rows import Road

Dealt = Sequence[tuple[str, int, str]]


@dataclass(frozen=True)
class Asked:
    """All that a run is made of besides its arrays, as texts and numbers. seed, key: hexadecimal, this party's of the job, and
    that by which the run joins who deals."""

    party: Party
    learner: str
    about: Mapping[str, Any]
    road: Road
    seed: str = field(repr=False)
    key: str = field(repr=False)

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"party": self.party.value}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Asked:
        return cls(**{**told, "party": Party(told["party"]), "road": Road(**told["road"])})


class Streams:
    """A run whose streams are open."""

    def __init__(
        self, asked: Asked, arrays: Mapping[str, Any], peer: FrameChannel, dealer: DealerChannel, closing: AsyncExitStack
    ) -> None:
        seed = bytes.fromhex(asked.seed)
        self._peer, self._dealer, self._closing = peer, dealer, closing
        self.run = asked.road.run
        self._heard = HeardRun(seed, asked.road.run, dealer)
        self._session = RunSession(asked.party, peer, asked.road.run)
        correlations = DealtCorrelations(asked.party, seed, self._heard)
        self._run = runs_of(asked.learner).make(self._session, correlations, asked.about, arrays, asked.road.run)

    async def step(self, number: int, own: Words, other: Words) -> Sequence[tuple[Words, Words]]:
        """See `mpc.abreast.Runner`. A line that breaks ends it, also where nothing of that line is waited for."""
        step = asyncio.ensure_future(self._run.step(number, own, other))
        lines = [asyncio.ensure_future(line.broken()) for line in (self._peer, self._dealer)]
        with ending([step, *lines]):
            await asyncio.wait([step, *lines], return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                await asyncio.wait([step], timeout=1.0)  # which may have the cause to say
            if step.done():
                return step.result()
            raise next(line.result() for line in lines if line.done())

    async def account(self) -> Account:
        return Account.of(self._session)

    @property
    def dealt(self) -> Dealt:
        """What was dealt on its stream by now."""
        return self._heard.arrays

    async def close(self, fault: Fault | None = None) -> None:
        """Ends the streams; fault: why, where the run was not through."""
        if fault is not None:
            await self._peer.abort(fault)
        await self._closing.aclose()


async def open_streams(
    asked: Asked, arrays: Mapping[str, Any], meeting: Meeting, coordinator: Connection, peer: Counter, dealt: Counter
) -> Streams:
    """peer, dealt: what counts bytes on either."""
    road = asked.road
    async with AsyncExitStack() as closing:
        connection = coordinator.apart()
        stream = connection.stream(DEAL)
        closing.push_async_callback(close_all, [stream], [connection])
        join = wire.Join(job=road.job, attempt=road.attempt, row_lane=road.run, lane_key=bytes.fromhex(asked.key))
        message = wire.Demand(join=join)
        dealt.sent += message.ByteSize()
        await greet(stream, message, WHOM, PATIENCE)
        dealer = DealerChannel(stream, f"{WHOM}, run {road.run} of {road.lanes}", dealt, MESSAGES)
        dealer.start()
        closing.push_async_callback(dealer.stop)
        closing.push_async_callback(meeting.leave, road)
        channel = await meeting.reach(road, peer)
        closing.push_async_callback(channel.stop)
        return Streams(asked, arrays, channel, dealer, closing.pop_all())
