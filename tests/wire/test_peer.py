"""Channels over streams: labels, greetings, how each end learns why the other ended, and the dealer's bounded window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import (
    DataError,
    JobCancelled,
    PeerFailed,
    PeerLost,
    PeerProtocolError,
    PlanError,
    WattScoreError,
)
from common.mpc.correlation import PeriodDemand, TrainingDemand
from common.mpc.session import Array, Kind, Round
from common.wire import party_pb2
from common.wire.codec import CHUNK_BYTES, encode
from common.wire.peer import (
    PROTOCOL,
    Counter,
    DealerChannel,
    DealtChannel,
    FrameChannel,
    check_plan,
    demand_message,
    greeting,
    read_greeting,
)
from common.wire.peer_pb2 import Frame
from common.wire.status import to_fault
from tests.wire.streams import End, duplex

SPLIT, SHAPE = Round(Kind.SPLIT, 1), Round(Kind.SHAPE, 2)
DEALT = Round(Kind.DEALT_LINK, 0)
BITS = np.arange(5, dtype=np.uint8)
SOON = 5.0  # how long what should happen at once may take; only a failing test waits for it


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[FrameChannel, FrameChannel]]:
    """The bank's channel to the grid and the grid's to the bank."""
    one, two = duplex()
    channels = FrameChannel(one, "the grid", Counter()), FrameChannel(two, "the bank", Counter())
    for channel in channels:
        channel.start()
    try:
        yield channels
    finally:
        for channel in channels:
            await channel.stop()


@asynccontextmanager
async def lone(*incoming: Any) -> AsyncIterator[FrameChannel]:
    """A channel to the grid on which these messages are waiting."""
    near, far = duplex()
    for message in incoming:
        await far.out.put(message)
    channel = FrameChannel(near, "the grid", Counter())
    channel.start()
    try:
        yield channel
    finally:
        await channel.stop()


async def failure(channel: FrameChannel, round: Round = SPLIT) -> WattScoreError:
    with pytest.raises(WattScoreError) as caught:
        await asyncio.wait_for(channel.receive(round), SOON)
    return caught.value


async def test_arrays_arrive_in_order_and_are_counted_on_both_sides() -> None:
    async with pair() as (bank, grid):
        large = np.arange(CHUNK_BYTES // 4, dtype=np.uint64)
        await bank.send(SPLIT, BITS)
        await bank.send(SHAPE, large)
        await grid.send(SPLIT, np.empty(0, np.uint8))
        np.testing.assert_array_equal(await grid.receive(SPLIT), BITS, strict=True)
        np.testing.assert_array_equal(await grid.receive(SHAPE), large, strict=True)
        assert (await bank.receive(SPLIT)).size == 0
        frames = [*encode(SPLIT, BITS), *encode(SHAPE, large)]
        assert len(frames) == 3
        assert bank._counter.sent == grid._counter.received == sum(frame.ByteSize() for frame in frames)
        assert grid._counter.sent == bank._counter.received > 0


async def test_an_array_of_another_round_is_refused_with_both_labels() -> None:
    for wrong in (Round(Kind.SPLIT, 2), Round(Kind.SHAPE, 1)):
        async with pair() as (bank, grid):
            await bank.send(wrong, BITS)
            error = await failure(grid)
            assert type(error) is PeerProtocolError
            assert f"expected split/1, got {wrong}" in str(error)


async def test_an_abort_reaches_the_other_side_with_cause_and_origin() -> None:
    async with pair() as (bank, grid):
        cause = DataError("row 17: income 12345.67", public="a value is out of range", remedy="Mend it.")
        await bank.abort(to_fault(cause, "bank"))
        error = await failure(grid)
        assert type(error) is PeerFailed
        assert str(error) == "the bank ended the job: a value is out of range. Mend it."
        assert error.origin == "bank"
        assert await failure(grid) is error


@pytest.mark.parametrize("cause", [JobCancelled("cancelled"), PeerFailed("ended"), PeerLost("fell silent")])
async def test_a_cause_that_already_tells_whose_fault_it_is_stays_what_it_is(cause: WattScoreError) -> None:
    async with pair() as (bank, grid):
        await bank.abort(to_fault(cause, "coordinator"))
        error = await failure(grid)
        assert type(error) is type(cause)
        assert (error.message, error.origin) == (cause.message, "coordinator")


async def test_what_was_sent_before_an_abort_still_arrives() -> None:
    async with pair() as (bank, grid):
        await bank.send(SPLIT, BITS)
        await bank.abort(to_fault(JobCancelled("cancelled"), "client"))
        assert (await grid.receive(SPLIT)).tolist() == BITS.tolist()
        assert type(await failure(grid, SHAPE)) is JobCancelled


async def test_a_closed_stream_is_a_lost_peer_however_often_one_asks() -> None:
    async with lone(None) as channel:
        for _ in range(2):
            error = await failure(channel)
            assert type(error) is PeerLost
            assert "the grid closed the connection" in str(error)


async def test_a_stream_that_closes_or_breaks_wakes_whoever_waits() -> None:
    for end in (None, PeerLost("the connection broke")):
        near, far = duplex()
        channel = FrameChannel(near, "the grid", Counter())
        channel.start()
        waiting = asyncio.create_task(channel.receive(SPLIT))
        await asyncio.sleep(0)
        await far.out.put(end)
        with pytest.raises(PeerLost):
            await asyncio.wait_for(waiting, SOON)
        await channel.stop()


async def test_a_surprise_in_the_reader_does_not_leave_the_owner_waiting() -> None:
    async with lone(MemoryError("too large")) as channel:
        with pytest.raises(MemoryError):
            await asyncio.wait_for(channel.receive(SPLIT), SOON)


@pytest.mark.parametrize("bad", [Frame(), greeting("job-1", b"")])
async def test_a_frame_that_does_not_belong_here_is_refused(bad: Frame) -> None:
    async with lone(bad) as channel:
        assert type(await failure(channel)) is PeerProtocolError


async def test_an_abort_on_a_broken_stream_is_silent() -> None:
    class Broken(End):
        async def write(self, message: Any) -> None:
            raise PeerLost("the connection broke")

    channel = FrameChannel(Broken(asyncio.Queue(), asyncio.Queue()), "the grid", Counter())
    await channel.abort(to_fault(JobCancelled("cancelled"), "client"))
    await channel.stop()


async def test_a_reader_takes_few_arrays_off_the_stream_before_they_are_asked_for() -> None:
    near, far = duplex()
    channel = FrameChannel(near, "the grid", Counter())
    channel.start()
    for number in range(50):
        for frame in encode(Round(Kind.SPLIT, number), BITS):
            await far.write(frame)
    for _ in range(200):
        await asyncio.sleep(0)
    assert far.out.qsize() >= 40
    for number in range(50):
        await channel.receive(Round(Kind.SPLIT, number))
    await channel.stop()


# Greetings


async def greet(*incoming: Any, timeout: float = SOON) -> Any:
    near, far = duplex()
    for message in incoming:
        await far.out.put(message)
    return await read_greeting(near, "the grid", timeout)


async def test_a_greeting_names_job_plan_and_software() -> None:
    hello = await greet(greeting("job-1", b"\x01" * 32))
    assert (hello.protocol, hello.job, hello.plan_digest) == (PROTOCOL, "job-1", b"\x01" * 32)
    check_plan(hello, b"\x01" * 32, "the grid")


async def test_another_plan_is_a_plan_error_that_shows_both_digests() -> None:
    hello = await greet(greeting("job-1", b"\x01" * 32))
    with pytest.raises(PlanError, match=r"another plan for job job-1 \(expected 0202020202020202, got 0101010101010101\)"):
        check_plan(hello, b"\x02" * 32, "the grid")
    with pytest.raises(PlanError):
        check_plan(await greet(greeting("job-1", b"")), b"\x02" * 32, "the grid")


async def test_another_protocol_version_is_refused() -> None:
    frame = greeting("job-1", b"")
    frame.hello.protocol, frame.hello.software = PROTOCOL + 1, "9.9"
    with pytest.raises(PeerProtocolError, match=rf"expected {PROTOCOL}, got {PROTOCOL + 1}.*It runs WattScore 9\.9"):
        await greet(frame)


@pytest.mark.parametrize("first", [Frame(), next(encode(SPLIT, BITS)), None])
async def test_anything_else_in_place_of_a_greeting_is_refused(first: Frame | None) -> None:
    with pytest.raises(PeerProtocolError, match="did not begin with a greeting"):
        await greet(first)


async def test_a_silent_peer_is_a_lost_one() -> None:
    with pytest.raises(PeerLost, match="did not greet"):
        await greet(timeout=0.0)


# Dealer


class Line:
    """The dealer's end and a party's end of one dealer stream."""

    def __init__(self, arrays: int = 3, size: int = 1 << 20) -> None:
        self.far, self.near = duplex()
        self.dealt = DealtChannel(self.far, "the grid", Counter(), arrays, size)
        self.party = DealerChannel(self.near, "the coordinator", Counter())
        self.reading = asyncio.create_task(self.dealt.read())
        self.party.start()

    async def close(self) -> None:
        await self.party.stop()
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)


@asynccontextmanager
async def line(arrays: int = 3, size: int = 1 << 20) -> AsyncIterator[Line]:
    made = Line(arrays, size)
    try:
        yield made
    finally:
        await made.close()


async def settle() -> None:
    """Lets every task go as far as it can."""
    for _ in range(100):
        await asyncio.sleep(0)


def words(count: int) -> Array:
    return np.zeros(count, np.uint64)


async def test_a_send_waits_until_the_party_has_consumed() -> None:
    async with line(arrays=2) as channels:
        sends = [asyncio.create_task(channels.dealt.send(DEALT, words(4))) for _ in range(3)]
        await settle()
        assert [send.done() for send in sends] == [True, True, False]
        assert channels.dealt.outstanding == 2
        await channels.party.receive(DEALT)
        await settle()
        assert sends[2].done()
        for _ in range(2):
            await channels.party.receive(DEALT)
        await settle()
        assert channels.dealt.outstanding == 0


async def test_the_window_is_bounded_in_bytes_too_but_one_array_always_passes() -> None:
    async with line(arrays=10, size=64) as channels:
        first = asyncio.create_task(channels.dealt.send(DEALT, words(1000)))
        second = asyncio.create_task(channels.dealt.send(DEALT, words(1)))
        await settle()
        assert (first.done(), second.done()) == (True, False)
        await channels.party.receive(DEALT)
        await settle()
        assert second.done()


@settings(max_examples=30)
@given(
    arrays=st.integers(1, 5),
    size=st.integers(8, 400),
    sizes=st.lists(st.integers(0, 30), max_size=25),
    eager=st.lists(st.booleans(), min_size=25, max_size=25),
)
def test_no_more_is_outstanding_than_the_window_allows_and_all_arrives(
    arrays: int, size: int, sizes: list[int], eager: list[bool]
) -> None:
    async def run() -> None:
        async with line(arrays, size) as channels:
            highest: list[int] = []

            async def deal() -> None:
                for number, count in enumerate(sizes):
                    await channels.dealt.send(Round(Kind.DEALT_LINK, number), words(count))
                    highest.append(channels.dealt.outstanding)
                    held = channels.dealt._bytes
                    assert held <= size or channels.dealt.outstanding == 1

            async def consume() -> None:
                for number, count in enumerate(sizes):
                    if not eager[number]:
                        await settle()
                    assert len(await channels.party.receive(Round(Kind.DEALT_LINK, number))) == count

            await asyncio.wait_for(asyncio.gather(deal(), consume()), SOON)
            await settle()
            assert max(highest, default=0) <= arrays
            assert channels.dealt.outstanding == channels.dealt._bytes == 0

    asyncio.run(run())


async def test_acknowledging_more_than_was_dealt_is_refused() -> None:
    for arrays, size in ((2, 32), (1, 33), (2, 0)):
        async with line() as channels:
            await channels.dealt.send(DEALT, words(4))
            await channels.near.write(party_pb2.Demand(consumed=party_pb2.Consumed(arrays=arrays, bytes=size)))
            await settle()
            with pytest.raises(PeerProtocolError, match="acknowledged more than it was dealt"):
                await channels.dealt.send(DEALT, words(1))
            with pytest.raises(PeerProtocolError, match="acknowledged more than it was dealt"):
                await asyncio.wait_for(anext(channels.dealt.demands()), SOON)


async def test_a_stream_that_ends_wakes_a_waiting_sender() -> None:
    for end in (None, PeerLost("the connection broke")):
        async with line(arrays=1) as channels:
            await channels.dealt.send(DEALT, words(1))
            waiting = asyncio.create_task(channels.dealt.send(DEALT, words(1)))
            await settle()
            assert not waiting.done()
            await channels.near.out.put(end)
            with pytest.raises(PeerLost):
                await asyncio.wait_for(waiting, SOON)
            with pytest.raises(PeerLost):
                await channels.dealt.send(DEALT, words(1))


async def test_demands_arrive_in_order_until_the_party_closes() -> None:
    async with line() as channels:
        asked = [PeriodDemand(2**40), TrainingDemand(rows=2**33, grid_columns=3, bank_columns=4)]
        for demand in asked:
            await channels.party.demand(demand)
        await channels.near.close()
        assert [demand async for demand in channels.dealt.demands()] == asked
        assert channels.dealt._counter.received == channels.party._counter.sent > 0


async def test_a_broken_line_reaches_whoever_reads_demands() -> None:
    async with line() as channels:
        await channels.near.out.put(PeerLost("the connection broke"))
        with pytest.raises(PeerLost):
            await asyncio.wait_for(anext(channels.dealt.demands()), SOON)


async def test_a_second_join_or_an_empty_demand_is_refused() -> None:
    for message in (party_pb2.Demand(join=party_pb2.Join(job="j")), party_pb2.Demand()):
        async with line() as channels:
            await channels.near.write(message)
            with pytest.raises(PeerProtocolError, match="out of place"):
                await asyncio.wait_for(anext(channels.dealt.demands()), SOON)


async def test_joining_is_the_first_message_and_names_the_job() -> None:
    far, near = duplex()
    await DealerChannel(near, "the coordinator", Counter()).join("job-1")
    assert await far.read() == party_pb2.Demand(join=party_pb2.Join(job="job-1"))


async def test_a_party_acknowledges_each_array_with_its_size() -> None:
    far, near = duplex()
    channel = DealerChannel(near, "the coordinator", Counter())
    channel.start()
    for frame in encode(DEALT, words(5)):
        await far.write(frame)
    await channel.receive(DEALT)
    assert await far.read() == party_pb2.Demand(consumed=party_pb2.Consumed(arrays=1, bytes=40))
    await channel.stop()


async def test_the_dealers_cause_reaches_a_party() -> None:
    async with line() as channels:
        await channels.far.write(Frame(abort={"fault": to_fault(PlanError("too many rows"), "coordinator")}))  # type: ignore[arg-type]
        error = await failure(channels.party, DEALT)
        assert type(error) is PeerFailed
        assert error.origin == "coordinator"
        assert "too many rows" in str(error)


async def test_a_dealer_receives_no_arrays() -> None:
    async with line() as channels:
        with pytest.raises(PeerProtocolError):
            await channels.dealt.receive(DEALT)


def test_demand_messages_keep_every_number() -> None:
    assert demand_message(PeriodDemand(7)).periods.words == 7
    training = demand_message(TrainingDemand(1, 2, 3)).training
    assert (training.rows, training.grid_columns, training.bank_columns) == (1, 2, 3)
