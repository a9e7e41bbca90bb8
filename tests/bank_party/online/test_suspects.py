"""Rows that end sessions: asked for by themselves, then not for a while, longer each time; answered ones as any other."""

from __future__ import annotations

import asyncio

import pytest

from bank_party.online.desk import SessionDesk
from bank_party.online.queue import Queue
from bank_party.online.suspects import Suspects
from common.errors import PeerLost
from tests.bank_party.online.test_desk import answer, rows, warm
from tests.patience import patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def lost_with(queue: Queue) -> list[str]:
    """A session that ends with what it is given."""
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm())
    names = list(await asyncio.wait_for(desk.ask(), patience(10)) or ())
    desk.give_back()
    return names


async def test_a_request_that_always_ends_its_session_costs_two_and_others_asked_with_it_one() -> None:
    queue = Queue(10)
    bad, good, same = queue.put(rows("BAD")), queue.put(rows("GOOD")), queue.put(rows("BAD", "OTHER"))
    assert await lost_with(queue) == ["BAD", "GOOD", "OTHER"]
    assert await lost_with(queue) == ["BAD"]
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm())
    assert list(await desk.ask() or ()) == ["GOOD"]
    await answer(desk, ["GOOD"])
    assert (await good).rows[0].decided
    last = [queue.put(rows(id)) for id in ("GOOD", "NEW")]
    assert list(await desk.ask() or ()) == ["GOOD", "NEW"], "what was answered is asked for with others again"
    for waits in (bad, same):  # what waits with such a row hears it too, and is not asked for
        with pytest.raises(PeerLost, match="2 sessions have ended with rows of this request") as caught:
            await asyncio.wait_for(waits, patience(10))
    assert "Ask for other rows; for these from" in caught.value.remedy and "BAD" not in str(caught.value)
    with pytest.raises(PeerLost):
        queue.put(rows("NEW", "BAD"))
    await answer(desk, ["GOOD", "NEW"])
    assert all([(await one).rows for one in last])


async def test_it_waits_longer_each_time_and_is_as_any_other_once_answered() -> None:
    clock, waited = Clock(), list[float]()
    queue = Queue(10, Suspects(clock))
    queue.put(rows("BAD"))
    await lost_with(queue)
    for _ in range(7):
        if queue.rows == 0:
            queue.put(rows("BAD"))
        assert await lost_with(queue) == ["BAD"]
        begun = clock.now
        while True:
            try:
                queue.put(rows("BAD")).cancel()
            except PeerLost:
                clock.now += 300.0
            else:
                break
        assert not queue.take(10)
        waited.append(clock.now - begun)
    assert waited == [300.0, 1200.0, 4800.0, 19200.0, 86400.0, 86400.0, 86400.0]
    waits, desk = queue.put(rows("BAD")), SessionDesk(queue, by_period=False)
    desk.ready(warm())
    queue.put(rows("GOOD"))
    assert list(await desk.ask() or ()) == ["BAD"], "by itself"
    await answer(desk, ["BAD"])
    assert (await waits).rows
    queue.put(rows("BAD"))
    assert [len(wanted.rows) for wanted in queue.take(10)] == [1, 1]


def test_what_is_remembered_ends() -> None:
    found = Suspects()
    found.lost((str(number), None) for number in range(25_000))
    assert len(found._held) == 10_000 and found.any([("24999", None)]) and not found.any([("1", None)])
