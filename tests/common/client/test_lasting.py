"""Who watches a job goes on watching when the coordinator was away, and is told when it stays away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from common.client import lasting
from common.client.lasting import follow_to_its_end, submit_once
from common.client.spans import Spans
from common.errors import JobNotFound, PeerLost
from common.process.settings import ClientSettings
from common.text import traces
from common.wire import coordinator_pb2 as wire


class Line:
    """A connection whose streams say, one after the other, states, and how they end: an error, or in order."""

    def __init__(self, *streams: list[str | Exception]) -> None:
        self._streams, self.asked = list(streams), 0

    async def subscribe(self, method: Any, request: wire.JobRequest) -> AsyncIterator[wire.Job]:
        self.asked += 1
        for said in self._streams.pop(0):
            if isinstance(said, Exception):
                raise said
            yield wire.Job(id=request.job, state=said)


AWAY = PeerLost("no connection")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "_PAUSE", (0.0,))
    monkeypatch.setattr(lasting, "_TRIES", (0.0, 0.0))


async def states(line: Line) -> list[str]:
    connection: Any = line
    return [job.state async for job in follow_to_its_end(connection, "train-1")]


async def test_a_watcher_outlives_the_coordinator() -> None:
    line = Line(["running", AWAY], [AWAY], [AWAY], ["waiting", "running"], ["running", "succeeded", "never"])
    assert await states(line) == ["running", "waiting", "running", "running", "succeeded"]
    assert line.asked == 5


async def test_one_that_was_never_reached_is_said_at_once() -> None:
    with pytest.raises(PeerLost, match="no connection"):
        await states(Line([AWAY]))
    with pytest.raises(PeerLost, match="has ended the stream"):
        await states(Line([]))


async def test_one_that_stays_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "AWAY", -1.0)
    with pytest.raises(PeerLost, match="no connection"):
        await states(Line(["running", AWAY], [AWAY]))


async def test_what_it_answers_is_no_absence() -> None:
    with pytest.raises(JobNotFound):
        await states(Line(["running", AWAY], [JobNotFound("no job 'train-1'")]))


@pytest.mark.parametrize("taken", ["for a lost line", "and an update comes"])
async def test_who_is_told_to_end_ends_though_the_stream_has_taken_it(taken: str) -> None:
    class Taking:
        asked = 0

        async def subscribe(self, method: Any, request: wire.JobRequest) -> AsyncIterator[wire.Job]:
            self.asked += 1
            yield wire.Job(id=request.job, state="running")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if taken == "for a lost line":
                    raise AWAY from None
                yield wire.Job(id=request.job, state="running")

    line: Any = Taking()
    updates = follow_to_its_end(line, "train-1")
    assert (await anext(updates)).state == "running"
    waiting = asyncio.create_task(anext(updates))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert line.asked == 1


class Desk:
    """A coordinator that queues what it is asked once for each submission, and whose first answers are lost."""

    def __init__(self, lost: int) -> None:
        self.lost, self.jobs = lost, dict[str, str]()

    async def call(self, method: Any, request: wire.SubmitRequest) -> wire.Job:
        job = self.jobs.setdefault(request.submission, f"train-{len(self.jobs)}")
        self.lost -= 1
        if self.lost >= 0:
            raise AWAY
        return wire.Job(id=job)


async def test_a_submission_whose_answer_is_lost_is_repeated_and_is_one_job() -> None:
    desk: Any = Desk(lost=2)
    assert (await submit_once(desk, "{}")).id == "train-0" and len(desk.jobs) == 1
    assert (await submit_once(desk, "{}")).id == "train-1"  # another one
    desk.lost = 99
    with pytest.raises(PeerLost, match="no connection"):
        await submit_once(desk, "{}", "mine")
    desk.lost = 0
    assert (await submit_once(desk, "{}", "mine")).id == desk.jobs["mine"] and len(desk.jobs) == 3


class Kept:
    """A tracer that keeps what it was told of spans: name, job, error."""

    def __init__(self) -> None:
        self.spans = list[list[str]]()

    def begin(self, name: str, job: str = "", *, within: Any = None, called: str = "") -> Any:
        told = [name, job, "open"]
        self.spans.append(told)
        return SimpleNamespace(of=lambda job: told.__setitem__(1, job), end=lambda error="": told.__setitem__(2, error))

    def current(self, span: Any) -> Any:
        return nullcontext()

    def parent(self) -> str:
        return ""

    def close(self) -> None:
        self.spans.append(["closed"])


async def test_what_is_submitted_and_followed_is_a_span_of_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, desk = Kept(), Desk(lost=0)
    traces.use(kept)
    monkeypatch.setattr(lasting, "_TRIES", ())
    try:
        connection: Any = desk
        await submit_once(connection, "{}")
        await states(Line(["running", "succeeded"]))
        with pytest.raises(JobNotFound):
            await states(Line([JobNotFound("no job")]))
        desk.lost = 9
        with pytest.raises(PeerLost):
            await submit_once(connection, "{}")
    finally:
        traces.close()
    followed = [["follow", "train-1", ""], ["follow", "train-1", "JobNotFound"]]
    assert kept.spans == [["submit", "train-0", ""], *followed, ["submit", "", "PeerLost"], ["closed"]]


def test_a_client_collects_where_its_configuration_says_so_and_nobody_does_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {"endpoint": "https://collector.example/v1/traces"}
    coordinator, tls = {"identity": "wattscore://n/c", "address": "n:1"}, {"certificate": "c", "key": "k", "trust": "t"}
    with_one, without = (
        ClientSettings.model_validate({"tls": tls, "coordinator": coordinator, **more}) for more in ({"tracing": raw}, {})
    )
    kept = Kept()
    monkeypatch.setattr("common.process.serve.begin_tracing", lambda settings, service: traces.use(kept))
    for settings in (without, with_one):
        spans = Spans(settings)
        assert traces.used() is (settings is with_one)
        spans.close()
        spans.close()
    assert not traces.used() and kept.spans == [["closed"]]
    for first in (0, 1):  # of two, whichever is closed first takes nothing from the other
        two = [Spans(with_one), Spans(with_one)]
        two[first].close()
        two[first].close()
        assert traces.used() and len(kept.spans) == 1 + first
        two[1 - first].close()
        assert not traces.used() and len(kept.spans) == 2 + first
    traces.use(kept)  # a daemon's: no client ends them
    Spans(with_one).close()
    assert traces.used()
    traces.close()
