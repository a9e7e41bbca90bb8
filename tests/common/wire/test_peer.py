"""The channel between the parties: labels, greetings, and how each end learns why the other ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from common.errors import (
    DataError,
    JobCancelled,
    PeerFailed,
    PeerLost,
    PeerProtocolError,
    PeerStopped,
    PlanError,
    WattScoreError,
)
from common.mpc.session import Kind, Round
from common.wire import peer
from common.wire.codec import CHUNK_BYTES
from common.wire.peer import (
    PROTOCOL,
    Counter,
    FrameChannel,
    check_plan,
    greeting,
    read_greeting,
)
from common.wire.peer_pb2 import Abort, Frame
from common.wire.status import to_fault
from tests.common.wire.framed import encode
from tests.common.wire.streams import End, duplex
from tests.patience import patience

SPLIT, SHAPE = Round(Kind.SPLIT, 1), Round(Kind.SHAPE, 2)
BITS = np.arange(5, dtype=np.uint8)
SOON = patience(5)  # how long what should happen at once may take; only a failing test waits for it


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


@pytest.mark.parametrize(
    "cause", [JobCancelled("cancelled"), PeerFailed("ended"), PeerLost("fell silent"), PeerStopped("stops")]
)
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


async def test_who_is_cancelled_while_it_ends_a_line_is_cancelled() -> None:
    """It went on, as a job over whose line tags had come did that was stopped at that moment."""
    async with lone() as channel:
        await asyncio.sleep(0)  # until its reader reads

        async def ends() -> str:
            await channel.stop()
            return "goes on"

        ending = asyncio.create_task(ends())
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending


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


async def test_large_arrays_wait_on_the_stream_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.arange(1 << 16, dtype=np.uint64)  # half a MiB each
    monkeypatch.setattr(peer, "_AHEAD_BYTES", 2 * large.nbytes)
    near, far = duplex()
    channel = FrameChannel(near, "the grid", Counter())
    channel.start()
    for number in range(6):
        for frame in encode(Round(Kind.SPLIT, number), large):
            await far.write(frame)
    for _ in range(200):
        await asyncio.sleep(0)
    assert channel._ahead == 2 * large.nbytes
    for number in range(6):
        np.testing.assert_array_equal(await asyncio.wait_for(channel.receive(Round(Kind.SPLIT, number)), SOON), large)
    assert channel._ahead == 0
    await channel.stop()


async def test_an_array_larger_than_all_the_room_still_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_AHEAD_BYTES", 16)
    async with pair() as (bank, grid):
        for number in range(3):
            await grid.send(Round(Kind.SPLIT, number), np.arange(300_000, dtype=np.uint64))
        for number in range(3):
            assert len(await asyncio.wait_for(bank.receive(Round(Kind.SPLIT, number)), SOON)) == 300_000


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


async def test_an_abort_in_place_of_a_greeting_raises_with_its_cause() -> None:
    cause = DataError("row 17: income 12345.67", public="a value is out of range", remedy="Mend it.")
    with pytest.raises(PeerFailed) as caught:
        await greet(Frame(abort=Abort(fault=to_fault(cause, "grid"))))
    assert str(caught.value) == "the grid ended the job: a value is out of range. Mend it."
    assert caught.value.origin == "grid"
    with pytest.raises(JobCancelled, match="cancelled by") as cancelled:
        await greet(Frame(abort=Abort(fault=to_fault(JobCancelled("cancelled by its client"), "client"))))
    assert cancelled.value.origin == "client"


async def test_a_silent_peer_is_a_lost_one() -> None:
    with pytest.raises(PeerLost, match="did not greet"):
        await greet(timeout=0.0)


async def test_a_line_that_breaks_is_heard_of_by_who_waits_for_no_array_and_how_it_ends_in_order_is_not() -> None:
    async with lone(*encode(SPLIT, BITS), PeerLost("the connection broke")) as channel:
        cause = await asyncio.wait_for(channel.broken(), patience(10))
        assert "broke" in str(cause)
        assert (await channel.receive(SPLIT)).tolist() == BITS.tolist() and await failure(channel, SHAPE) is cause
    told = Frame(abort=Abort(fault=to_fault(PeerLost("the bank fell silent"), "bank")))
    for ends in (None, told):
        async with lone(ends) as channel:
            await failure(channel)
            assert channel._broken.empty()


async def test_who_has_said_why_the_job_ends_has_not_lost_its_line_by_leaving() -> None:
    """Its process may end at once: the cause that waits to be read here is better than that nobody answers."""
    one, two = duplex()
    channel = FrameChannel(one, "the grid", Counter(), ahead=1)
    channel.start()
    try:
        for piece in encode(SPLIT, BITS):
            await two.write(piece)
        watch = asyncio.create_task(channel.broken())
        await two.write(Frame(abort=Abort(fault=to_fault(PeerStopped("the grid is shutting down"), "grid"))))
        async with asyncio.timeout(SOON):
            while not channel._told:
                await asyncio.sleep(0)
        one.breaks.set_result(PeerLost("the connection broke"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not watch.done() and (await channel.receive(SPLIT)).tolist() == BITS.tolist()
        assert isinstance(await failure(channel, SHAPE), PeerStopped)
        watch.cancel()
    finally:
        await channel.stop()


async def test_why_the_other_side_ends_the_job_is_heard_while_no_array_is_waited_for_and_its_end_in_order_is_not() -> None:
    """At its end who is through closes the stream, while this side still files what it has."""
    said = Frame(abort=Abort(fault=to_fault(PeerStopped("the grid is shutting down"), "grid")))
    async with lone(said) as channel:
        cause = await asyncio.wait_for(channel.told(), SOON)
        assert isinstance(cause, PeerStopped) and await failure(channel) is cause
    for ends in (None, PeerLost("the connection broke")):
        async with lone(ends) as channel:
            watch = asyncio.create_task(channel.told())
            await failure(channel)
            for _ in range(20):
                await asyncio.sleep(0)
            assert not watch.done()
            watch.cancel()


# What ends where it should


async def test_the_end_of_a_stream_is_waited_for_and_nothing_may_come_before_it() -> None:
    async with lone(None) as channel:
        await channel.end()
    async with lone(*encode(SPLIT, BITS), None) as channel:
        with pytest.raises(PeerProtocolError, match="the grid sent more than it said"):
            await channel.end()
    async with lone(PeerLost("the connection broke")) as channel:
        with pytest.raises(PeerLost, match="broke"):
            await channel.end()
    async with lone(PeerLost("the connection broke")) as channel:
        await failure(channel)
        with pytest.raises(PeerLost, match="broke"):
            await channel.end()


async def test_an_array_above_what_a_channel_takes_is_refused_by_its_first_frame() -> None:
    near, far = duplex()
    channel = FrameChannel(near, "the grid", Counter(), largest=16)
    channel.start()
    for frame in (*encode(SPLIT, np.zeros(16, np.uint8)), *encode(SHAPE, np.zeros(CHUNK_BYTES + 1, np.uint8))):
        await far.write(frame)
    assert (await channel.receive(SPLIT)).size == 16
    error = await failure(channel, SHAPE)
    assert type(error) is PeerProtocolError and "expected at most 16 bytes" in str(error)
    await channel.stop()


async def test_a_cancellation_that_comes_with_the_greeting_is_not_lost() -> None:
    class Stream:
        def __init__(self) -> None:
            self.frame = asyncio.get_running_loop().create_future()

        async def read(self) -> Frame:
            frame: Frame = await self.frame
            return frame

    stream = Stream()
    reading = asyncio.create_task(read_greeting(stream, "the grid", SOON))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    stream.frame.set_result(greeting("job-1", b"\x01" * 32))
    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()
