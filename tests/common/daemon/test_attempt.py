"""What a party says of an attempt that fails, and what it gives back when none is left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.daemon import runner as module
from common.errors import PeerLost
from common.wire import party_pb2 as wire
from tests.common.daemon.test_runner import BANK, Desk, plan, scoring


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
