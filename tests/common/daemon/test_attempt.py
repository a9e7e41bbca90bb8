"""What a party says of an attempt that fails, and what it gives back when none is left."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from common.daemon import again
from common.daemon import runner as module
from common.errors import DataError, PeerLost
from common.wire import party_pb2 as wire
from common.wire.peer_pb2 import Fault
from tests.common.daemon.test_runner import BANK, Desk, plan, scoring
from tests.patience import patience


async def test_who_has_met_the_other_party_says_so_before_it_says_that_it_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a line that is cut in the first moment fails the job, as one that was never there does."""

    desk = Desk(tmp_path, no_dealer=True, own_weights=True)

    class Line:
        async def abort(self, *_: Any) -> None:
            pass

        stop = abort

    def cut(*_: Any) -> Any:
        raise PeerLost("the bank closed the connection")

    async def meet(*_: Any) -> Any:
        return Line()

    monkeypatch.setattr(desk.door, "meet", meet)
    monkeypatch.setattr("common.daemon.attempt.open_session", cut)
    answer = await desk.offer(plan(model={"dealer": "none", "reveal": "owners"}, matching="ecdh"))
    assert answer.WhichOneof("message") == "accept", answer
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)
    task = desk.runner._jobs["train-1"].task
    assert task is not None
    await task
    *_, said, failed = desk.sent
    assert (said.progress.job, said.progress.stage) == ("train-1", "load")
    assert (failed.failed.fault.kind, failed.failed.fault.message) == ("PeerLost", "the bank closed the connection")


@pytest.mark.parametrize("stops", ["a line", "the coordinator"])
async def test_an_attempt_that_ends_is_not_stopped_again_for_what_is_heard_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stops: str
) -> None:
    """Its cause would be another's, and what it does at its end be cut short: it would not be told at all."""
    desk, told = Desk(tmp_path, no_dealer=True, own_weights=True), list[Any]()
    monkeypatch.setattr("common.daemon.broken._LEFT", 0.0)

    class Line:
        async def broken(self) -> PeerLost:
            return PeerLost("the connection broke") if stops == "a line" else await asyncio.Future[PeerLost]()

        async def abort(self, fault: Any) -> None:
            if stops == "the coordinator":  # to which the other party has said so already
                heard = wire.Stop(job="train-1", fault=Fault(kind="PeerFailed", message="the grid ended the job"))
                await desk.runner.take(wire.ToParty(stop=heard), desk.send)
            for _ in range(50):  # turns of the loop, as it takes to write on a slow line
                await asyncio.sleep(0)
            told.append(fault)

        async def stop(self) -> None:
            pass

    def fails(*_: Any) -> Any:
        raise DataError("row 7 is damaged", public="a row is damaged")

    async def meet(*_: Any) -> Any:
        return Line()

    monkeypatch.setattr(desk.door, "meet", meet)
    monkeypatch.setattr("common.daemon.attempt.open_session", fails)
    await desk.offer(plan(model={"dealer": "none", "reveal": "owners"}, matching="ecdh"))
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)
    task = desk.runner._jobs["train-1"].task
    assert task is not None
    await task
    *_, failed = desk.sent
    assert [(one.kind, one.message) for one in (*told, failed.failed.fault)] == [("DataError", "a row is damaged")] * 2
    heard_of = "job train-1, which has ended here, ends: the grid ended the job"  # it may be the better cause
    assert (heard_of in caplog.text) == (stops == "the coordinator")


async def test_an_attempt_that_a_disk_has_ended_says_in_the_audit_log_what_it_was_charged_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)

    async def meet(job: str, *_: Any) -> Any:
        for _ in range(2):
            desk.home.charged(job, "rows_per_day", 7)
        desk.home.charged(job, "scores_per_row", 3)
        raise OSError(errno.ENOSPC, "no space", str(tmp_path / "rates.sqlite"))

    monkeypatch.setattr(desk.door, "meet", meet)
    task, answers = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await task
    with pytest.raises(DataError, match="a file of its own: no space is left"):
        answers.check()
    (end,) = desk.home.audit.newest(1, job="score-1", what="end")
    said = json.loads(end.detail)
    assert said["error"] == "DataError" and said["charged"] == {"rows_per_day": 14, "scores_per_row": 3}
    assert desk.home.left_charged("score-1") == {}


async def test_an_end_that_a_full_disk_keeps_out_of_the_audit_log_is_entered_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, refusals = Desk(tmp_path), [3]
    monkeypatch.setattr(again, "PAUSE", 0.01)
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    whole = desk.home.audit.end

    def end(*about: Any, **detail: Any) -> Any:
        refusals[0] -= 1
        if refusals[0] >= 0:
            raise OSError(errno.ENOSPC, "no space", "audit.sqlite")
        return whole(*about, **detail)

    async def meet(job: str, *_: Any) -> Any:
        desk.home.charged(job, "rows_per_day", 7)
        raise OSError(errno.ENOSPC, "no space", "rates.sqlite")

    monkeypatch.setattr(desk.home.audit, "end", end)
    monkeypatch.setattr(desk.door, "meet", meet)
    task, answers = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await task
    with pytest.raises(DataError):
        answers.check()
    async with asyncio.timeout(patience(20)):
        while not desk.home.audit.newest(1, job="score-1", what="end"):
            await asyncio.sleep(0.01)
    (entry,) = desk.home.audit.newest(9, job="score-1", what="end")
    said = json.loads(entry.detail)
    assert said["late"] and said["charged"] == {"rows_per_day": 7} and refusals[0] == -1


async def test_memory_is_given_back_once_no_job_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last of two jobs, both of which fail: one that goes on needs what it holds."""
    desk, given = Desk(tmp_path), list[tuple[str, ...]]()
    monkeypatch.setattr(module, "give_memory_back", lambda: given.append(tuple(desk.runner._jobs)))
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    lasting, _ = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)  # which has no coordinator here to deal
    short = desk.runner._jobs["train-1"].task
    assert short is not None
    await short
    assert list(desk.runner._jobs) == ["score-1"]
    await desk.runner.stop_all(PeerLost("the grid is shutting down"))
    await lasting
    await asyncio.get_running_loop().shutdown_default_executor()  # which has done by then what it was given
    assert given == [()]
