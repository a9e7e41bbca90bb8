"""The dealer's stream: demands go up, arrays come down, and no more is outstanding than the window allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import LocalProtocolError, PeerFailed, PeerLost, PeerProtocolError, PlanError
from common.learn.dealings import MESSAGES, TABLE
from common.learn.linear.deal import TrainingDemand
from common.mpc.correlations.asked import PeriodDemand
from common.mpc.counting.masks import CountsDemand
from common.mpc.session import Array, Kind, Round
from common.wire import dealing, party_pb2
from common.wire.dealing import DealerChannel, DealtChannel, demand_message
from common.wire.peer import Counter
from common.wire.peer_pb2 import Abort, Frame
from common.wire.status import to_fault
from tests.common.wire.framed import encode
from tests.common.wire.streams import duplex
from tests.patience import patience

DEALT = Round(Kind.DEALT_LINK, 0)
SOON = patience(5)  # how long what should happen at once may take; only a failing test waits for it


class Line:
    """The dealer's end and a party's end of one dealer stream."""

    def __init__(self, arrays: int = 3, size: int = 1 << 20) -> None:
        self.far, self.near = duplex()
        self.dealt = DealtChannel(self.far, "the grid", Counter(), MESSAGES, arrays, size)
        self.party = DealerChannel(self.near, "the coordinator", Counter(), MESSAGES)
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


async def test_a_party_takes_what_is_dealt_ahead_off_the_stream() -> None:
    """On a slow line the tables of the next steps arrive while it does what needs none."""
    async with line(arrays=64) as channels:
        for number in range(50):
            await channels.dealt.send(Round(Kind.DEALT_LINK, number), words(4))
        await settle()
        assert channels.far.out.empty() and channels.dealt.outstanding == 50
        for number in range(50):
            await channels.party.receive(Round(Kind.DEALT_LINK, number))


async def test_a_send_waits_until_the_party_has_consumed() -> None:
    async with line(arrays=2) as channels:
        sends = [asyncio.create_task(channels.dealt.send(DEALT, words(4))) for _ in range(3)]
        await settle()
        assert [send.done() for send in sends] == [True, True, False]
        assert channels.dealt.outstanding == 2
        await channels.party.receive(DEALT)  # one more is there, so this one is not acknowledged yet
        await channels.party.receive(DEALT)
        await settle()
        assert sends[2].done()
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


@settings(max_examples=30)
@given(
    windows=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.integers(8, 400),
    sizes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=25),
)
def test_parties_that_wait_for_each_other_after_each_array_never_wait_for_the_dealer_for_ever(
    windows: tuple[int, int], size: int, sizes: list[tuple[int, int]]
) -> None:
    async def run() -> None:
        async with line(windows[0], size) as one, line(windows[1], size) as two:
            met = asyncio.Barrier(2)

            async def deal() -> None:
                for number, counts in enumerate(sizes):
                    for channels, count in zip((one, two), counts, strict=True):
                        await channels.dealt.send(Round(Kind.DEALT_LINK, number), words(count))

            async def consume(channels: Line) -> None:
                for number in range(len(sizes)):
                    await channels.party.receive(Round(Kind.DEALT_LINK, number))
                    await met.wait()

            await asyncio.wait_for(asyncio.gather(deal(), consume(one), consume(two)), SOON)

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


async def test_a_read_that_is_cancelled_wakes_a_waiting_sender_and_whoever_reads_demands() -> None:
    async with line(arrays=1) as channels:
        await channels.dealt.send(DEALT, words(1))
        waiting = asyncio.create_task(channels.dealt.send(DEALT, words(1)))
        await settle()
        assert not waiting.done()
        channels.reading.cancel()  # as grpc does to the handler of a stream that breaks
        for stopped in (waiting, anext(channels.dealt.demands())):
            with pytest.raises(PeerLost, match="the dealer stream of the grid was cut off"):
                await asyncio.wait_for(stopped, SOON)
        assert channels.reading.cancelled()


async def test_demands_arrive_in_order_until_the_party_closes() -> None:
    async with line() as channels:
        asked = [PeriodDemand(2**40), CountsDemand(2**30, 40, 5, 4), TrainingDemand(rows=2**33, grid_columns=3, bank_columns=4)]
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


async def test_a_party_acknowledges_each_array_with_its_size() -> None:
    far, near = duplex()
    channel = DealerChannel(near, "the coordinator", Counter(), MESSAGES)
    channel.start()
    for frame in encode(DEALT, words(5)):
        await far.write(frame)
    await channel.receive(DEALT)
    assert await far.read() == party_pb2.Demand(consumed=party_pb2.Consumed(arrays=1, bytes=40))
    await channel.stop()


async def test_arrays_that_are_there_are_acknowledged_four_at_a_time_and_large_ones_at_once() -> None:
    far, near = duplex()
    channel = DealerChannel(near, "the coordinator", Counter(), MESSAGES)
    channel.start()
    sizes = [1, 2, 3, 4, 1 << 17, 5, 6]
    for count in sizes:
        for frame in encode(DEALT, words(count)):
            await far.write(frame)
    await settle()
    for _ in sizes:
        await channel.receive(DEALT)
    said = [await far.read() for _ in range(3)]
    assert [(one.consumed.arrays, one.consumed.bytes) for one in said] == [(4, 80), (1, 1 << 20), (2, 88)]
    await channel.stop()


async def test_the_dealers_cause_reaches_a_party() -> None:
    async with line() as channels:
        await channels.far.write(Frame(abort=Abort(fault=to_fault(PlanError("too many rows"), "coordinator"))))
        with pytest.raises(PeerFailed, match="the coordinator ended the job: too many rows") as caught:
            await asyncio.wait_for(channels.party.receive(DEALT), SOON)
        assert caught.value.origin == "coordinator"


async def test_a_dealer_receives_no_arrays() -> None:
    async with line() as channels:
        with pytest.raises(PeerProtocolError):
            await channels.dealt.receive(DEALT)


def test_demand_messages_keep_every_number() -> None:
    assert demand_message(PeriodDemand(7), MESSAGES).periods.words == 7
    counts = demand_message(CountsDemand(1, 2, 3, 4), MESSAGES).counts
    assert (counts.rows, counts.bins, counts.least, counts.rounds) == (1, 2, 3, 4)
    training = demand_message(TrainingDemand(1, 2, 3), MESSAGES).training
    assert (training.rows, training.grid_columns, training.bank_columns) == (1, 2, 3)


def test_a_demand_of_a_kind_that_nobody_deals_is_not_sent() -> None:
    @dataclass(frozen=True)
    class Wishes:
        count: int

    with pytest.raises(LocalProtocolError, match="unknown kind"):
        demand_message(Wishes(3), MESSAGES)


def test_every_row_of_the_table_has_a_message_of_its_fields() -> None:
    fields = party_pb2.Demand.DESCRIPTOR.fields_by_name
    for row in TABLE:
        message = fields[row.message].message_type
        assert [field.name for field in message.fields] == list(row.demand.__dataclass_fields__)
    assert set(fields) - {"join", "consumed"} == set(MESSAGES)


async def test_a_party_that_asks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "MOST_DEMANDS", 5)
    async with line() as found:
        for _ in range(10):
            await found.party.demand(PeriodDemand(1))
        await asyncio.wait_for(found.reading, SOON)
        with pytest.raises(PeerProtocolError, match="the grid asks for more at once than is dealt in a job"):
            async for _ in found.dealt.demands():
                pass
