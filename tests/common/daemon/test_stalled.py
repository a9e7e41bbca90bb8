"""A job that no coordinator watches ends once nothing happens in it, and not before; a session of requests may wait."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.daemon.stalled import stop_stalled
from common.errors import PeerLost, WattScoreError
from common.plan.read import parse_plan
from common.plan.score import ScorePlan
from common.stages.desk import Requests
from common.wire import party_pb2 as wire
from tests.common.daemon.test_runner import BANK, Desk, scoring
from tests.patience import patience

TICK = 1e-3


class Peer:
    """Bytes of the other party, some more at each of the first looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.looked = looks, 0

    @property
    def received(self) -> int:
        self.looked += 1
        return min(self.looked, self.looks)


def running(peer: Any, stage: str = "align", **plan: Any) -> Any:
    progress = wire.Progress(stage=stage)
    asked = parse_plan(scoring(), "job")
    assert isinstance(asked, ScorePlan)
    asked = asked.model_copy(update=plan)
    return SimpleNamespace(reporter=SimpleNamespace(latest=progress), peer=peer, plan=asked, requests=Requests())


async def stopped(job: Any) -> WattScoreError:
    found = list[WattScoreError]()
    await asyncio.wait_for(stop_stalled(job, TICK, found.append), patience(10))
    (error,) = found
    return error


async def test_a_job_goes_on_while_anything_comes_and_ends_once_nothing_does() -> None:
    peer = Peer(9)
    error = await stopped(running(peer))
    assert isinstance(error, PeerLost) and "nothing has happened in this job for 0 s" in str(error)
    assert peer.looked in (10, 11)


@pytest.mark.parametrize("field", ["stage", "done", "rows", "warnings"])
async def test_what_this_party_has_come_further_counts_too(field: str) -> None:
    job, looks = running(SimpleNamespace(received=1)), [0]

    class Reporter:
        @property
        def latest(self) -> wire.Progress:
            looks[0] += 1
            step = min(looks[0], 8)
            more: dict[str, Any] = {"stage": f"s{step}", "done": step, "rows": step, "warnings": ["w"] * step}
            return wire.Progress(**{"stage": "align", field: more[field]})

    job.reporter = Reporter()
    await stopped(job)
    assert looks[0] >= 9


async def test_a_session_may_wait_for_requests_and_not_for_the_end_of_one() -> None:
    await stopped(running(SimpleNamespace(received=1), on_request=10))
    await stopped(running(SimpleNamespace(received=1), "score", on_request=10))  # it is about to be warm
    job, found = running(SimpleNamespace(received=1), "score", on_request=10), list[WattScoreError]()
    comes = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(job.requests.next(comes))
    await asyncio.sleep(0)
    watching = asyncio.create_task(stop_stalled(job, TICK, found.append))
    peer = job.peer = Peer(0)
    while peer.looked < 20:
        await asyncio.sleep(TICK)
    assert not watching.done() and not found
    before = job.requests.begun
    comes.set_result(3)
    assert await asking == 3
    assert job.requests.begun != before, "one that has just begun is told from one that is stuck"
    await asyncio.wait_for(watching, patience(10))
    assert len(found) == 1


async def test_a_session_that_nobody_asks_anything_of_ends_where_its_grid_has_a_limit() -> None:
    """It waits for as long after each request."""
    job, found = running(SimpleNamespace(received=1), "score", on_request=10), list[WattScoreError]()
    idle = 50 * TICK
    watching = asyncio.create_task(stop_stalled(job, TICK, found.append, idle))
    for _ in range(3):
        comes = asyncio.get_running_loop().create_future()
        asking = asyncio.create_task(job.requests.next(comes))
        await asyncio.sleep(0)
        comes.set_result(1)
        await asking
        if watching.done():  # a tick between two requests: only a loaded machine
            return
    begun = time.monotonic()
    waits = asyncio.create_task(job.requests.next(asyncio.get_running_loop().create_future()))
    await asyncio.wait_for(watching, patience(10))
    waits.cancel()
    (error,) = found
    assert isinstance(error, PeerLost) and "the bank has asked for nothing in this session for 0.0 h" in str(error)
    assert time.monotonic() - begun >= idle


async def test_a_job_that_the_bank_asks_for_and_does_not_come_to_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    monkeypatch.setattr(desk.runner._attempts, "settings", desk.settings.model_copy(update={"stall_timeout": 0.05}))

    async def meet(*_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(desk.door, "meet", meet)
    task, answers = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await asyncio.wait_for(task, patience(20))
    with pytest.raises(PeerLost, match="nothing has happened in this job"):
        answers.check()
    assert desk.home.jobs.jobs(1, "score-1")[0].state == "failed"
