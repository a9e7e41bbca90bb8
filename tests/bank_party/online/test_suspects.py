"""Rows that end sessions: asked for by themselves, then not for a while, longer each time; answered ones as any other."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bank_party.online.desk import SessionDesk
from bank_party.online.queue import Queue
from bank_party.online.suspects import SuspectBook, Suspects
from common.disk.book import KeptBook
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


def refused(found: Suspects, *names: str) -> bool:
    why = found.why_not((name, None) for name in names)
    assert (why is not None) is (found.seconds((name, None) for name in names) > 0.0)
    return why is not None


def test_of_many_rows_half_may_be_asked_for_apart_and_the_one_that_stalls_is_left_after_as_many_halvings() -> None:
    clock, names = Clock(), [str(number) for number in range(16)]
    found = Suspects(clock)
    for _ in range(2):
        assert not refused(found, *names)
        found.lost((name, None) for name in names)
    assert refused(found, *names) and refused(found, *names[:9]) and refused(found, *names, "NEW")
    assert "half of them, 8 at most, now" in (found.why_not([(name, None) for name in names]) or PeerLost("")).remedy
    lost, left = 2, names  # "5" stalls
    while len(left) > 1:
        halves = left[: len(left) // 2], left[len(left) // 2 :]
        bad, good = sorted(halves, key=lambda half: "5" not in half)
        assert not refused(found, *good) and not refused(found, *bad)
        found.answered((name, None) for name in good)
        found.lost((name, None) for name in bad)
        lost, left = lost + 1, bad
        assert refused(found, *bad) and not refused(found, *good)
    assert left == ["5"] and lost == 6
    assert not refused(found, *(name for name in names if name != "5")) and refused(found, "NEW", "5")
    assert "half" not in (found.why_not([("5", None)]) or PeerLost("")).remedy


def test_a_row_that_stalls_with_others_each_time_waits_after_two_and_they_do_not() -> None:
    found = Suspects(Clock())
    found.lost([("BAD", None), ("A", None)])
    found.lost([("BAD", None), ("B", None)])
    assert refused(found, "BAD", "C") and not refused(found, "A", "B")


@pytest.mark.parametrize("month", [None, 24_000])
def test_a_restart_forgets_nothing_and_one_queue_has_none_of_another(tmp_path: Path, month: int | None) -> None:
    clock, bad, good = Clock(), ("BAD", month), ("GOOD", month)

    def begun(whose: str = "champion") -> Suspects:
        return Suspects(clock, SuspectBook(tmp_path / "answers", whose, 1))

    first = begun()
    first.lost([bad, good])
    first.answered([good])
    first.close()
    second = begun()
    assert second.any([bad]) and not second.any([good, ("BAD", 7)])
    second.lost([bad])
    assert second.seconds([bad]) == 300.0
    second.close()
    third = begun()
    assert third.seconds([bad]) == 300.0 and not begun("shadow").any([bad])
    clock.now = 300.0
    assert third.why_not([bad]) is None
    third.lost([bad, good])
    assert third.seconds([bad]) == 1200.0 and third.why_not([good]) is None
    third.answered([bad, good])
    third.close()
    assert not begun().any([bad, good])


def test_a_clock_that_is_set_back_makes_nothing_wait_for_longer_than_the_longest() -> None:
    clock = Clock()
    clock.now = 1e9
    found = Suspects(clock)
    for _ in range(2):
        found.lost([("BAD", None)])
    clock.now = 0.0
    assert found.seconds([("BAD", None)]) == 86400.0


def test_rows_that_are_remembered_no_more_leave_the_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bank_party.online.suspects._MOST", 3)
    book = SuspectBook(tmp_path / "answers", "champion", 1)
    found = Suspects(book=book)
    for number in range(5):
        found.lost([(str(number), None)])
    assert [row for row, _ in book.rows()] == [(str(number), None) for number in (2, 3, 4)]


def test_a_row_that_nobody_asks_for_any_more_leaves_memory_and_book_a_day_after_it_may_be(tmp_path: Path) -> None:
    clock, book, old, other = Clock(), SuspectBook(tmp_path / "answers", "champion", 1), ("OLD", 7), ("OTHER", None)
    clock.now = 1e9
    found = Suspects(clock, book)
    for _ in range(2):
        found.lost([old])  # it waits for 300 s
    clock.now += 300.0 + 86400.0
    found.lost([other])
    assert found.any([old]) and [row for row, _ in book.rows()] == [old, other]
    clock.now += 1.0
    found.lost([other])
    assert not found.any([old]) and [row for row, _ in book.rows()] == [other]
    clock.now += 2 * 86400.0
    assert not Suspects(clock, book).any([other]) and not list(book.rows())


def test_a_disk_that_refuses_leaves_what_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book = SuspectBook(tmp_path / "answers", "champion", 1)
    found = Suspects(Clock(), book)

    def full(_: KeptBook) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KeptBook, "open", full)
    for _ in range(2):
        found.lost([("BAD", None)])
    book.close()
    assert refused(found, "BAD") and "could not be written down" in caplog.text and "BAD" not in caplog.text


async def test_a_disk_that_hangs_holds_up_no_request_and_what_changes_meanwhile_is_written_once_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is written beside the event loop, the first lost session stops all, and this never ends."""
    book = SuspectBook(tmp_path / "answers", "champion", 1)
    queue, goes_on, opened, writes = Queue(10, Suspects(Clock(), book)), threading.Event(), KeptBook.open, list[None]()

    def hangs(self: KeptBook) -> Any:
        writes.append(None)
        assert goes_on.wait(patience(60))
        return opened(self)

    monkeypatch.setattr(KeptBook, "open", hangs)
    queue.put(rows("BAD"))
    for _ in range(2):
        assert await lost_with(queue) == ["BAD"]
    queue.put(rows("OTHER"))
    assert await lost_with(queue) == ["OTHER"]
    desk = SessionDesk(queue, by_period=False)
    desk.ready(warm())
    good = queue.put(rows("GOOD"))
    assert list(await desk.ask() or ()) == ["OTHER"]
    await answer(desk, ["OTHER"])
    assert list(await desk.ask() or ()) == ["GOOD"]
    await answer(desk, ["GOOD"])
    assert (await good).rows[0].decided
    goes_on.set()
    found = await asyncio.to_thread(lambda: dict(book.rows()))
    assert {row: held.ended for row, held in found.items()} == {("BAD", None): 2}
    assert len(writes) <= 3  # the first, all others together, and this look
    await asyncio.to_thread(book.close)
