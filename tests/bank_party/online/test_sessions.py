"""A bank's sessions, and what they have scored, in moments that go wrong: none serves unseen, none ends the service."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bank_party.online.book import AnswerBook, digest
from bank_party.online.desk import SessionDesk
from bank_party.online.messages import Answered, Asked
from bank_party.online.problem import Problem
from bank_party.online.queue import Batch, Queue, Row, Scored
from bank_party.online.service import ScoringService
from common.daemon.answers import Answers
from common.errors import PeerStopped
from common.stages.desk import Answer, Remains, Warm
from tests.bank_party.online.test_shadow import Both, decided
from tests.patience import patience


class Serving:
    """A runner whose jobs get ready at once, and answer nothing until they are over."""

    def __init__(self, ready: bool = True) -> None:
        self.ready, self.begun = ready, asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def begin(self, *_: Any, desk: SessionDesk, **__: Any) -> tuple[asyncio.Task[None], Answers]:
        async def serve() -> None:
            if self.ready:
                desk.ready(Warm("score-1", "train-1", {"E1": 0}, 100, lambda: [], True))
            while await desk.ask() is not None:
                await asyncio.Event().wait()

        self.task = asyncio.create_task(serve())
        self.begun.set()
        return self.task, Answers()


async def over(runner: Serving) -> None:
    assert runner.task is not None
    await asyncio.wait({runner.task}, timeout=patience(60))
    assert runner.task.done() and not runner.task.cancelled()


async def test_a_session_whose_stocks_cannot_be_listed_is_ended_and_serves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: SessionDesk) -> None:
        raise OSError(5, "no")

    runner: Any = Serving()
    both = Both(runner)
    both.champion.current = None
    monkeypatch.setattr(SessionDesk, "look", look)
    assert not await both.champion._renew() and both.champion.current is None
    await over(runner)
    waiting = both.queue.put((Row("E1", None),))
    await asyncio.sleep(0)
    assert both.queue.rows == 1 and not waiting.done()


async def test_before_there_is_a_champion_no_job_is_begun_in_vain() -> None:
    """Each was one of the day, and the next waited for longer: after a promotion nobody was served for up to two hours."""
    runner: Any = Serving()
    both = Both(runner)
    sessions, both.registry.champion, both.registry.prepared = both.champion, None, lambda: None
    sessions.current = None
    for _ in range(20):
        assert not await sessions._renew()
        assert "there is no champion yet" in str(sessions.down) and not runner.begun.is_set()
        sessions._failures += 1
    assert sessions._pause() <= 30.0
    both.registry.prepared = object  # the other party may have it: a session makes sure
    assert await sessions._renew() and runner.begun.is_set()
    assert sessions.current is not None
    sessions._retire(sessions.current)
    await over(runner)


async def test_what_a_stuck_session_was_asked_waits_for_the_next_one() -> None:
    """It is stopped as one in which nothing has happened for too long; who asked hears nothing of it."""
    runner: Any = Serving()
    both = Both(runner)
    assert await both.champion._renew()
    stuck = both.champion.current
    assert stuck is not None
    answer = both.queue.put((Row("E1", None),))
    while both.queue.rows:
        await asyncio.sleep(0)
    stuck.task.cancel()
    await asyncio.wait_for(both.champion._while_good(stuck), patience(60))
    assert both.champion.current is None and both.queue.rows == 1 and not answer.done()
    assert await both.champion._renew() and both.champion.current is not stuck
    while both.queue.rows:
        await asyncio.sleep(0)
    fresh = both.champion.current
    assert fresh is not None and not answer.done()
    await fresh.desk.hear([Answer("E1")], Remains(99, stale=False))
    assert (await asyncio.wait_for(answer, patience(60))).rows[0].row.id == "E1"
    fresh.task.cancel()


async def test_a_session_that_is_begun_as_the_daemon_stops_is_ended() -> None:
    runner: Any = Serving(ready=False)
    both = Both(runner)
    both.champion.current = None
    beginning = asyncio.create_task(both.champion._renew())
    await runner.begun.wait()
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    await over(runner)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database is locked"), OSError(5, "no")])
async def test_a_book_that_cannot_be_read_for_a_while_ends_neither_session_nor_service(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runner: Any = Serving()
    both = Both(runner)
    sessions, looks = both.champion, list[int]()
    sessions.current = None
    assert await sessions._renew()
    session = sessions.current
    assert session is not None

    async def outdated(_: Any) -> bool:
        looks.append(len(looks))
        if len(looks) < 3:
            raise error
        return True

    monkeypatch.setattr(sessions, "_outdated", outdated)
    monkeypatch.setattr("bank_party.online.sessions._LOOK", 0.0)
    await sessions._while_good(session)
    assert len(looks) == 3 and sessions.current is session and not session.task.done()
    assert len([r for r in caplog.records if "goes on" in r.message]) == 1
    sessions._retire(session)
    await over(runner)


class Office:
    """The service with a queue that the test answers."""

    def __init__(self, folder: Path) -> None:
        self.queue, self.book = Queue(10), AnswerBook(folder / "answers.sqlite", 3600.0)
        sessions: Any = SimpleNamespace(current=None, down=None, soon=True, stock_left=9)
        home: Any = SimpleNamespace(registry=SimpleNamespace(version=lambda job: SimpleNamespace(number=1)))
        config: Any = SimpleNamespace(by_period=False, rows_at_once=1000, wait_seconds=60.0)
        self.service = ScoringService(config, home, self.queue, sessions, self.book)
        self.asked = Asked(id="E1")

    async def ask(self) -> asyncio.Task[Any]:
        """A request that waits in the queue."""
        found = asyncio.create_task(self.service.score("app", "key-1", self.asked))
        async with asyncio.timeout(patience(60)):
            while not self.queue.rows:
                await asyncio.sleep(0.01)
        return found

    def kept(self) -> Any:
        return self.book.find("app", "key-1", digest(self.asked.known_by()))


async def test_what_was_scored_for_a_caller_who_is_gone_is_in_the_book_before_it_closes(tmp_path: Path) -> None:
    office = Office(tmp_path)
    caller = await office.ask()
    caller.cancel()
    (wanted,) = office.queue.take(10)
    row = Scored(wanted.rows[0], None, decided(0.5) | {"score": 600, "reasons": ""})
    wanted.answer.set_result(Batch("score-1", "train-1", (row,), 9))
    await office.service.finish()
    office.book.close()
    assert office.kept()["results"][0]["score"] == 600 and not office.service._running


async def test_who_still_waits_as_the_daemon_stops_hears_that_it_does(tmp_path: Path) -> None:
    office = Office(tmp_path)
    caller = await office.ask()
    office.queue.fail(PeerStopped("the bank's daemon is shutting down"))
    await office.service.finish()
    with pytest.raises(Problem) as caught:
        await caller
    assert caught.value.message.status == 503 and "shutting down" in caught.value.message.detail
    assert office.kept() is None


@pytest.mark.parametrize(("untold", "told"), [("", ["Late payments", "Falling use"]), ("the stock has none", None)])
async def test_an_answer_has_the_grids_reasons_or_says_why_not_and_so_does_its_repetition(
    tmp_path: Path, untold: str, told: list[str] | None
) -> None:
    office = Office(tmp_path)
    caller = await office.ask()
    desk = SessionDesk(office.queue, by_period=False)
    desk.ready(Warm("score-1", "train-1", {"E1": 0}, 100, lambda: [], True))
    assert list(await desk.ask() or ()) == ["E1"]
    said = decided(0.5) | {"score": 600, "reasons": "debt", "grid_reasons": "" if untold else "Late payments; Falling use"}
    await desk.hear([Answer("E1", said)], Remains(99, stale=False, untold=untold))
    found, known = await caller
    assert not known and found["grid_reasons_untold"] == (untold or None)
    assert found["results"][0]["grid_reasons"] == told and found["results"][0]["reasons"] == ["debt"]
    assert await office.service.score("app", "key-1", office.asked) == (found, True)
    assert Answered.model_validate(found).model_dump(mode="json") == found
    office.book.close()
