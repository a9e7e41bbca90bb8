"""The queue and a session's end of it: rows in order, newest months, what a session that is lost had taken."""

from __future__ import annotations

import asyncio

import pytest

from bank_party.online.desk import SessionDesk, newest
from bank_party.online.queue import Batch, Busy, Queue, Row
from common.errors import PeerLost
from common.rows.months import month_number
from common.stages.align import row_name
from common.stages.job import Answer, Remains, Warm

MAY, JUNE = month_number("2025-05"), month_number("2025-06")


def warm(*names: str) -> Warm:
    return Warm("score-1", "train-1", dict.fromkeys(names, 0), 100, lambda: 900, True)


def rows(*ids: str) -> tuple[Row, ...]:
    return tuple(Row(id, None) for id in ids)


async def answer(desk: SessionDesk, names: list[str]) -> None:
    await desk.hear([Answer(name, {"u": 0.5}) for name in names], Remains(98, stale=False))


async def test_requests_that_wait_go_together_and_each_gets_its_own_rows() -> None:
    queue = Queue(10)
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm())
    one, two = queue.put(rows("A", "B")), queue.put(rows("B", "C"))
    names = list(await desk.ask() or ())
    assert names == ["A", "B", "C"]
    await answer(desk, names)
    desk.look()
    assert [scored.row.id for scored in (await one).rows] == ["A", "B"]
    assert [scored.row.id for scored in (await two).rows] == ["B", "C"] and desk.left == 998


async def test_without_a_month_the_newest_is_asked_for() -> None:
    names = [row_name("A", MAY), row_name("A", JUNE), row_name("B C", MAY)]
    assert newest(names) == {"A": JUNE, "B C": MAY}
    queue = Queue(10)
    desk = SessionDesk(queue, by_period=True)
    desk.ready(warm(*names))
    waits = queue.put((Row("A", None), Row("A", MAY), Row("NOBODY", None)))
    asked = list(await desk.ask() or ())
    assert asked == [row_name("A", JUNE), row_name("A", MAY)]
    await answer(desk, asked)
    newer, older, nobody = (await waits).rows
    assert (newer.period, older.period) == (JUNE, MAY) and nobody.refused and not nobody.decided


async def test_what_a_lost_session_had_taken_is_first_in_the_next() -> None:
    queue = Queue(10)
    lost, next_one = SessionDesk(queue, by_period=False), SessionDesk(queue, by_period=False)
    waits = [queue.put(rows(id)) for id in ("A", "B")]
    assert await lost.ask() == ["A", "B"]
    waits.append(queue.put(rows("C")))
    lost.give_back()
    next_one.ready(warm())
    names = list(await next_one.ask() or ())
    assert names == ["A", "B", "C"]
    await answer(next_one, names)
    assert all([(await found).rows for found in waits])


async def test_a_retired_desk_takes_nothing_more() -> None:
    queue = Queue(10)
    desk = SessionDesk(queue, by_period=False)
    waiting = asyncio.ensure_future(desk.ask())
    await asyncio.sleep(0)
    desk.retire()
    assert await waiting is None
    queue.put(rows("A"))
    assert await desk.ask() is None and queue.rows == 1


async def test_no_more_rows_wait_than_may_and_all_who_wait_hear_why() -> None:
    queue = Queue(3)
    waits: asyncio.Future[Batch] = queue.put(rows("A", "B"))
    with pytest.raises(Busy):
        queue.put(rows("C", "D"))
    queue.fail(PeerLost("the grid is away"))
    with pytest.raises(PeerLost):
        await waits
    assert queue.rows == 0


async def test_newer_rows_at_the_grid_are_told_to_who_keeps_sessions() -> None:
    queue = Queue(3)
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm())
    queue.put(rows("A"))
    assert not desk.stale.is_set() and await desk.ask() == ["A"]
    await desk.hear([Answer("A", {})], Remains(1, stale=True))
    assert desk.stale.is_set()
