"""The queue and a session's end of it: rows in order, newest months, what a session that is lost had taken."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bank_party.online.desk import SessionDesk, newest
from bank_party.online.queue import Batch, Busy, Queue, Row
from common.errors import PeerLost
from common.rows.declare import ColumnConfig
from common.rows.given import BadValue, Given
from common.rows.months import month_number
from common.stages.align import row_name
from common.stages.desk import Answer, Remains, Warm

MAY, JUNE = month_number("2025-05"), month_number("2025-06")


def warm(*names: str) -> Warm:
    return Warm("score-1", "train-1", dict.fromkeys(names, 0), 100, lambda: [500, 400], True)


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


def given(id: str, value: float | str, period: int | None = None) -> tuple[Row, ...]:
    return (Row(id, period, {"income": value}),)


def warm_for_given(*names: str) -> Warm:
    return replace(warm(*names), given=Given({"income": ColumnConfig(kind="numeric")}))


async def test_rows_that_come_with_their_columns_go_by_themselves_and_no_two_of_one_id_at_once() -> None:
    queue = Queue(10)
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm_for_given("A"))
    waits = [queue.put(one) for one in (rows("A"), given("A", 1.0), given("N", 2.0), given("A", 3.0), rows("A"))]
    taken: list[tuple[list[str], list[float] | None]] = []
    while not all(one.done() for one in waits):
        names = list(await desk.ask() or ())
        taken.append((names, None if desk.given is None else desk.given.numeric["income"].tolist()))
        assert desk.given is None or desk.given.ids.tolist() == names
        await answer(desk, names)
    assert taken == [(["A"], None), (["A", "N"], [1.0, 2.0]), (["A"], [3.0]), (["A"], None)]


async def test_a_wrong_value_is_told_to_its_own_request_alone() -> None:
    queue = Queue(10)
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm_for_given())
    good, bad, last = queue.put(given("A", 1.0)), queue.put((*given("B", 2.0), *given("C", "x"))), queue.put(given("D", 4.0))
    names = list(await desk.ask() or ())
    assert names == ["A", "D"] and desk.given is not None and desk.given.rows == 2
    with pytest.raises(BadValue) as caught:
        await bad
    assert (caught.value.row, caught.value.column) == (1, "income")
    await answer(desk, names)
    assert (await good).rows[0].row.id == "A" and (await last).rows[0].row.id == "D"
    alone, after = queue.put(given("B", "x")), queue.put(given("A", 1.0))
    assert await desk.ask() == ["A"]  # though nothing was left of what was taken first
    with pytest.raises(BadValue):
        await alone
    after.cancel()


async def test_columns_without_a_month_are_of_the_newest_that_both_have_rows_of() -> None:
    queue = Queue(10)
    desk = SessionDesk(queue, by_period=True)
    desk.ready(warm_for_given(row_name("A", MAY), row_name("B", JUNE)))
    queue.put((Row("NEW", None, {"income": 1.0}), Row("A", MAY, {"income": 2.0})))
    assert await desk.ask() == [row_name("NEW", JUNE), row_name("A", MAY)]
    assert desk.given is not None and desk.given.periods is not None and desk.given.periods.tolist() == [JUNE, MAY]


async def test_what_a_lost_session_had_taken_is_first_in_the_next() -> None:
    queue = Queue(10)
    lost, next_one = SessionDesk(queue, by_period=False), SessionDesk(queue, by_period=False)
    waits = [queue.put(rows(id)) for id in ("A", "B")]
    assert await lost.ask() == ["A", "B"]
    waits.append(queue.put(rows("C")))
    lost.give_back()
    next_one.ready(warm())
    for id in ("A", "B", "C"):  # each by itself: one of the first two may have ended it
        assert await next_one.ask() == [id]
        await answer(next_one, [id])
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
