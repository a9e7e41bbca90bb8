"""Rows that are asked for beside each one that is meant: always the same, all as often, and nobody hears of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from bank_party.online.config import OnlineConfig
from bank_party.online.decoys import Decoys
from bank_party.online.desk import SessionDesk
from bank_party.online.queue import Queue, Row
from common.rows.declare import ColumnConfig
from common.rows.given import Given
from common.rows.months import month_number
from common.stages.align import row_name
from common.stages.desk import Answer, Remains, Warm

KEY, MAY, JUNE = bytes(range(32)), month_number("2025-05"), month_number("2025-06")
IDS = [f"W{place:05}" for place in range(2000)]


def warm(*names: str) -> Warm:
    given = Given({"income": ColumnConfig(kind="numeric")})
    return replace(Warm("score-1", "train-1", dict.fromkeys(names, 0), 100, lambda: [], True), given=given)


def test_they_are_the_same_in_every_session_and_month_and_others_by_another_key() -> None:
    crowd, months = Decoys(4, KEY).among(IDS, by_period=False), Decoys(4, KEY).among(by_month(IDS), by_period=True)
    again, others = Decoys(4, KEY).among(reversed(IDS), by_period=False), Decoys(4, KEY[::-1]).among(IDS, by_period=False)
    for id in (*IDS[:50], "NEW HERE"):
        found = crowd.of(id)
        assert len({id, *found}) == 5 and set(found) <= set(IDS)
        assert again.of(id) == found and not set(others.of(id)) & set(found)
        for month in (MAY, JUNE):
            assert months.of(row_name(id, month)) == [row_name(other, month) for other in found]
    assert months.of(row_name("W00000", MAY - 1)) == []  # of which there is none


def by_month(ids: list[str]) -> list[str]:
    return [row_name(id, month) for month in (JUNE, MAY) for id in ids]


def test_where_there_are_few_all_of_them_are() -> None:
    crowd = Decoys(4, KEY).among(IDS[:3], by_period=False)
    assert sorted(crowd.of(IDS[0])) == IDS[1:3] and sorted(crowd.of("ELSE")) == IDS[:3]
    assert Decoys(4, KEY).among([], by_period=False).of("ELSE") == []


def test_all_rows_are_as_often() -> None:
    crowd = Decoys(4, KEY).among(IDS, by_period=False)
    times = Counter(other for id in IDS for other in crowd.of(id))
    found = np.array([times[id] for id in IDS])
    assert abs(found.mean() - 4.0) < 1e-9 and found.var() < 1.25 * 4.0  # as where each is drawn: 4


def test_few_change_where_rows_come_and_go() -> None:
    """The row that is meant would else be what several sets have in common."""
    before, after = (Decoys(4, KEY).among(ids, by_period=False) for ids in (IDS, IDS[40:] + [f"N{k}" for k in range(40)]))
    kept = [len(set(before.of(id)) & set(after.of(id))) for id in IDS[40:]]
    assert np.mean(kept) > 4 * 0.94


async def test_a_desk_asks_for_them_and_answers_those_alone_who_asked() -> None:
    queue, decoys = Queue(100), Decoys(3, KEY)
    desk, beside = SessionDesk(queue, by_period=False, decoys=decoys), decoys.among(IDS, by_period=False)
    desk.ready(warm(*IDS))
    one, two, nobody = (queue.put((Row(id, None),)) for id in (IDS[0], IDS[1], "NOBODY"))
    names = list(await desk.ask() or ())
    every = {*IDS[:2], *beside.of(IDS[0]), *beside.of(IDS[1])}
    assert set(names) == every | {"NOBODY"} and len(names) == len(every) + 1 and set(desk.decoys) == every - {*IDS[:2]}
    lacking = beside.of(IDS[1])[0]  # at the grid
    await desk.hear(
        [Answer(name, refused="no" if name in (lacking, "NOBODY") else "") for name in names], Remains(90, stale=False)
    )
    assert [scored.row.id for scored in (await one).rows] == [IDS[0]] and (await one).decoys == 3
    assert (await two).decoys == 2 and (await nobody).decoys == 0 and (await nobody).rows[0].refused
    assert not desk.decoys


async def test_the_row_that_is_meant_stands_anywhere_among_them() -> None:
    queue = Queue(100)
    desk = SessionDesk(queue, by_period=False, decoys=Decoys(3, KEY))
    desk.ready(warm(*IDS))
    places = set[int]()
    for _ in range(200):  # each place is missed by one such test in 10^24
        queue.put((Row(IDS[0], None),))
        names = list(await desk.ask() or ())
        places.add(names.index(IDS[0]))
        await desk.hear([Answer(name) for name in names], Remains(90, stale=False))
    assert places == {0, 1, 2, 3}


async def test_decoys_of_a_row_that_came_with_its_columns_have_the_same_ones() -> None:
    queue = Queue(100)
    desk = SessionDesk(queue, by_period=True, decoys=Decoys(3, KEY))
    desk.ready(warm(*by_month(IDS)))
    waits = queue.put((Row("NEW", None, {"income": 7.0}), Row(IDS[0], MAY, {"income": 8.0})))
    names = list(await desk.ask() or ())
    assert len(names) == 8 and desk.given is not None and desk.given.periods is not None
    rows = zip(names, desk.given.ids.tolist(), desk.given.periods.tolist(), desk.given.numeric["income"].tolist(), strict=True)
    for name, id, month, income in rows:
        assert name == row_name(id, month) and income == {JUNE: 7.0, MAY: 8.0}[month]
    await desk.hear([Answer(name) for name in names], Remains(90, stale=False))
    assert [scored.row.id for scored in (await waits).rows] == ["NEW", IDS[0]] and (await waits).decoys == 6


async def test_a_message_holds_the_rows_that_are_meant_with_their_decoys() -> None:
    queue, decoys = Queue(2000), Decoys(3, KEY)
    desk, least = (
        SessionDesk(queue, by_period=False, decoys=decoys),
        SessionDesk(queue, by_period=False, one_stock=True, decoys=decoys),
    )
    desk.ready(warm(*IDS))
    for id in IDS[:400]:
        queue.put((Row(id, None),))
    names = list(await desk.ask() or ())
    assert len(names) <= 1000 and len(names) - len(desk.decoys) == 250
    least.ready(replace(warm(*IDS), rows=3))  # of a stock: too few for one row
    least.retire()
    assert not least._taken_now() and least.stale.is_set()


def test_a_request_is_of_as_many_rows_as_go_into_a_message() -> None:
    files = {"certificate": "a", "key": "b", "trust": "c", "clients": ["desk"], "grid_dataset": "g", "bank_dataset": "b"}
    config = OnlineConfig.model_validate({"listen": "127.0.0.1:1", **files})
    assert config.rows_at_once == 1000 and config.model_copy(update={"decoys": 4}).rows_at_once == 200
