"""Work side by side, of which nothing is left: neither of what fails, nor of what is begun ahead and not taken."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import pytest

from common.errors import LocalProtocolError, PeerLost, PeerProtocolError
from common.mpc.beside import first_of, one_ahead, side_by_side, to_the_end
from common.mpc.correlations.asked import Demand, PeriodDemand
from common.mpc.dealer import Dealer, Dealt
from common.mpc.session import Array, Kind, Round, Session
from common.party import Party
from tests.channels import MemoryChannel, memory_pair


async def test_of_several_the_first_is_given_and_the_others_have_ended() -> None:
    ended = list[str]()

    async def forever(name: str) -> int:
        try:
            return await asyncio.Future[int]()
        finally:
            ended.append(name)

    async def gives() -> int:
        await asyncio.sleep(0)
        return 7

    assert await first_of([forever("first"), gives(), forever("third")]) == (1, 7)
    assert sorted(ended) == ["first", "third"]


async def test_the_first_error_has_ended_the_others() -> None:
    ended = list[str]()

    async def forever(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as of who has something to close
            ended.append(name)

    async def fails() -> None:
        raise PeerProtocolError("of one line")

    with pytest.raises(PeerProtocolError, match="of one line"):
        await side_by_side([forever("first"), fails(), forever("third")])
    assert sorted(ended) == ["first", "third"]
    caller = asyncio.create_task(side_by_side([forever("of a caller"), forever("who is cancelled")]))
    for _ in range(3):
        await asyncio.sleep(0)  # until all of it is waited for
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended[2:] == ["of a caller", "who is cancelled"]


async def test_what_each_gives_is_in_order() -> None:
    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert await side_by_side(map(after, (3, 0, 2))) == [3, 0, 2] and await side_by_side([]) == []


async def test_what_is_begun_ahead_and_not_taken_is_cancelled() -> None:
    session, begun = Session(Party.GRID, memory_pair()[0]), list[asyncio.Future[int]]()

    def beginning() -> Iterator[asyncio.Future[int]]:
        for number in range(3):
            begun.append(session.begin(lambda number=number: number, 0))  # type: ignore[misc]
            yield begun[-1]

    with pytest.raises(PeerProtocolError):
        async with one_ahead(beginning()) as coming:
            assert await coming() == 0 and len(begun) == 2
            raise PeerProtocolError("the other party is gone")
    await asyncio.wait(begun)
    assert [one.cancelled() for one in begun] == [False, True]


async def test_nobody_takes_more_than_was_to_be_begun() -> None:
    session = Session(Party.GRID, memory_pair()[0])
    async with one_ahead(iter([session.begin(lambda: "it", 0)])) as coming:
        assert await coming() == "it"
        with pytest.raises(LocalProtocolError):
            await coming()
    async with one_ahead(iter(list[asyncio.Future[int]]())):
        pass


async def test_a_dealer_that_fails_has_closed_what_it_listened_to() -> None:
    """One party asks for what is not dealt; the other is still listened to, and no more when the error is raised."""
    closed = list[Party]()

    async def asks(party: Party, *asked: Demand) -> AsyncGenerator[Demand]:
        try:
            for one in asked:
                yield one
            if not asked:
                raise PeerProtocolError("a line that was cut off")
            await asyncio.Event().wait()
        finally:
            closed.append(party)

    queues: dict[Party, MemoryChannel] = dict(zip(Party, memory_pair(), strict=True))
    dealer = Dealer(dict(queues), nonces=dict.fromkeys(Party, bytes(32)), keys=dict.fromkeys(Party, bytes(32)))
    demand = PeriodDemand(1)
    for asked in ({Party.GRID: asks(Party.GRID), Party.BANK: asks(Party.BANK, demand)}, {p: asks(p, demand) for p in Party}):
        closed.clear()
        with pytest.raises(PeerProtocolError):
            await dealer.follow(asked, {}, {})
        assert set(closed) == set(Party)


async def test_what_is_dealt_ahead_while_a_party_is_lost_fails_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    """The next item is made, and fails, while the one before is sent to a party that is gone: that party is the cause."""
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def dealing() -> Iterator[Dealt]:
        yield [(Party.GRID, Round(Kind.DEALT_PERIODS, 0), np.zeros(1, np.uint64))]
        loop.call_soon_threadsafe(failed.set)
        raise ZeroDivisionError

    class Gone(MemoryChannel):
        async def send(self, round: Round, values: Array) -> None:
            await failed.wait()
            for _ in range(20):
                await asyncio.sleep(0.001)  # until the thread has told what it found
            raise PeerLost("the grid is gone")

    empty = asyncio.Queue[tuple[Round, Array]]()
    dealer = Dealer(
        {party: Gone(empty, empty) for party in Party},
        nonces=dict.fromkeys(Party, bytes(32)),
        keys=dict.fromkeys(Party, bytes(32)),
    )
    with pytest.raises(PeerLost):
        await dealer.deal(dealing())
    gc.collect()
    await asyncio.sleep(0)
    assert not caplog.records


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_while_something_is_entered_knows_of_it_when_it_ends(times: int) -> None:
    """However often: a job that lost a line is stopped, and once more by the coordinator, which hears of it."""
    begun, entered, known = threading.Event(), threading.Event(), list[bool]()

    def enter() -> None:
        begun.set()
        entered.wait()
        known.append(True)

    task = asyncio.create_task(to_the_end(asyncio.to_thread(enter)))
    await asyncio.to_thread(begun.wait)
    for _ in range(times):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
    entered.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert known == [True]


async def test_what_fails_of_a_caller_that_was_cancelled_meanwhile_fails_in_silence() -> None:
    said, go = list[dict[str, Any]](), asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))

    async def refused() -> None:
        await go.wait()
        raise OSError("the disk refuses")

    task = asyncio.create_task(to_the_end(refused()))
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    go.set()
    await asyncio.wait({task})
    assert task.cancelled()
    del task
    gc.collect()
    assert said == []
