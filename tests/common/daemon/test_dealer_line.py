"""A party's line to the dealer, over one stream and over several, with the coordinator's end of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from common.coordinator.lanes import Lanes
from common.daemon.dealer_line import dealer_line, further_join
from common.errors import PeerLost, PeerProtocolError
from common.learn.dealings import MESSAGES
from common.mpc.correlations.asked import PeriodDemand
from common.mpc.session import Kind, Round
from common.party import Identity
from common.wire import lanes as wire_lanes
from common.wire import party_pb2 as wire
from common.wire.dealing import DealtChannel
from common.wire.lanes import Braid, Purpose
from common.wire.peer import Counter, lane_greeting
from tests.common.wire.streams import End, duplex
from tests.patience import patience

GRID, OTHER = Identity("volt", "grid-party"), Identity("acme", "bank-party")
DEALT = Round(Kind.DEALT_LINK, 5)


def join() -> wire.Join:
    return wire.Join(job="j", nonce=bytes(range(32)), key=b"k" * 32, attempt=2)


class Call:
    """The coordinator's end of a stream."""

    def __init__(self, end: End, identity: Identity = GRID) -> None:
        self.identity, self._end = identity, end
        self.read, self.write = end.read, end.write


class Line:
    """A connection to the coordinator, and those made beside it: `far` are the other ends of their streams."""

    def __init__(self, far: list[End] | None = None) -> None:
        self.far, self.closed = ([] if far is None else far), False
        self.apart_of: list[Line] = []

    def stream(self, _: Any) -> End:
        near, far = duplex()
        self.far.append(far)
        return near

    def apart(self) -> Line:
        self.apart_of.append(Line(self.far))
        return self.apart_of[-1]

    async def close(self) -> None:
        self.closed = True


async def coordinator(line: Line, most: int) -> tuple[Lanes, Any, list[asyncio.Task[None]]]:
    """The coordinator's side of a line with all of its lanes: the first's stream, and who serves the further ones."""
    dealt, count = Lanes(most, Purpose.DEAL), len(line.far)
    while not line.far:
        await asyncio.sleep(0)
    first = (await line.far[0].read()).join
    whole = asyncio.create_task(dealt.first("seat", Call(line.far[0]), first, "the grid"))  # type: ignore[arg-type]
    serving = []
    for lane in range(1, max(1, first.lanes)):
        while len(line.far) <= lane:
            await asyncio.sleep(0)
        said = (await line.far[lane].read()).join
        call: Any = Call(line.far[lane])
        serving.append(asyncio.create_task(dealt.serve("seat", call, said)))
    assert count <= 1
    return dealt, await whole, serving


@asynccontextmanager
async def joined(line: Line, lanes: int, counter: Counter) -> AsyncIterator[Any]:
    connection: Any = line
    async with dealer_line(connection, counter, join(), lanes) as channel:
        yield channel


async def test_joining_over_one_stream_is_the_first_message_and_says_nothing_of_lanes() -> None:
    line, counter = Line(), Counter()
    async with joined(line, 1, counter):
        said = await line.far[0].read()
        assert said == wire.Demand(join=join()) and counter.sent == said.ByteSize()
        assert len(line.far) == 1 and not line.apart_of
    assert await line.far[0].read() is None


@pytest.mark.parametrize("lanes", [2, 3, 5])
async def test_what_is_dealt_and_asked_for_goes_over_all_lanes_and_all_end_together(lanes: int) -> None:
    line, counter, dealing = Line(), Counter(), Counter()
    there = asyncio.create_task(coordinator(line, 8))
    async with joined(line, lanes, counter) as channel:
        dealt, stream, serving = await asyncio.wait_for(there, patience(5))
        assert isinstance(stream, Braid) and len(stream) == lanes == 1 + len(line.apart_of)
        dealer = DealtChannel(stream, "the grid", dealing, MESSAGES, 64, 1 << 26)
        reading = asyncio.create_task(dealer.read())
        for size in (1, 300_000, 7, 40_000):
            values = np.arange(size, dtype=np.uint64)
            await dealer.send(DEALT, values)
            np.testing.assert_array_equal(await channel.receive(DEALT), values, strict=True)
        await channel.demand(PeriodDemand(7))
        demands = dealer.demands()
        assert await asyncio.wait_for(anext(demands), patience(5)) == PeriodDemand(7)
        await demands.aclose()
        while dealer.outstanding:
            await asyncio.sleep(0)
        assert not any(task.done() for task in serving)
    await asyncio.wait_for(reading, patience(5))
    await dealt.end("seat")
    await asyncio.wait_for(asyncio.gather(*serving), patience(5))
    assert all(one.closed for one in line.apart_of) and not line.closed


async def test_a_lane_of_the_dealer_that_breaks_ends_the_line_and_is_named() -> None:
    line = Line()
    there = asyncio.create_task(coordinator(line, 3))
    async with joined(line, 3, Counter()) as channel:
        dealt, _, serving = await asyncio.wait_for(there, patience(5))
        await line.far[2].out.put(PeerLost("no connection to the coordinator"))
        with pytest.raises(PeerLost, match=r"no connection to the coordinator \(lane 2 of 3\)"):
            await asyncio.wait_for(channel.receive(DEALT), patience(5))
    await dealt.end("seat")
    await asyncio.gather(*serving)


async def test_a_coordinator_that_answers_with_other_lanes_is_refused() -> None:
    line = Line()

    async def answer() -> None:
        while not line.far:
            await asyncio.sleep(0)
        await line.far[0].write(lane_greeting("j", b"", 2, 4, 0))

    answering = asyncio.create_task(answer())
    with pytest.raises(PeerProtocolError, match="serves another number of lanes"):
        async with joined(line, 3, Counter()):
            pass
    await answering
    assert not line.apart_of


async def test_who_may_add_a_lane_to_a_dealers_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_lanes, "PATIENCE", 0.2)
    dealt, first = Lanes(2, Purpose.DEAL), join()

    async def served(said: wire.Join, who: Identity = GRID) -> None:
        call: Any = Call(duplex()[0], who)
        await dealt.serve("seat", call, said)

    with pytest.raises(PeerProtocolError, match="no line of job j waits"):
        await served(further_join(first, 1))
    near, far = duplex()
    call: Any = Call(near)
    first.lanes = 3
    with pytest.raises(PeerProtocolError, match="more lanes than it was told"):
        await dealt.first("seat", call, first, "the grid")
    first.lanes = 2
    whole = asyncio.create_task(dealt.first("seat", call, first, "the grid"))
    assert (await far.read()) == lane_greeting("j", b"", 2, 2, 0)
    stranger = wire.Join(job="j", nonce=bytes(32), attempt=2)
    another = further_join(first, 1)
    another.lane_key = further_join(first, 2).lane_key
    for said, who in (
        (further_join(stranger, 1), GRID),  # who does not know the nonce
        (further_join(first, 2), GRID),  # too many
        (another, GRID),  # another lane's key
        (further_join(first, 1), OTHER),
    ):
        with pytest.raises(PeerProtocolError, match="none that is waited for"):
            await served(said, who)
    with pytest.raises(PeerLost, match=r"lanes 1 of 2 of the grid did not come"):
        await whole
    assert "seat" in dealt  # the party has joined: not twice in an attempt
    await dealt.end("seat")
