"""What the coordinator says last of a job: kept or discarded by it, and why it ended, in the log and the book."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.errors import JobCancelled, JobStateError, PeerLost
from common.home.audit import What
from common.wire import party_pb2 as wire
from common.wire.status import to_fault
from tests.common.daemon.test_runner import Desk, plan


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("succeeded", [True, False])
async def test_the_coordinators_last_word_keeps_or_discards(desk: Desk, succeeded: bool) -> None:
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    model = desk.home.models.folder("train-1")
    model.mkdir(parents=True)
    desk.home.registry.enter("train-1", "own", "theirs", "plan")
    for _ in range(2):  # it may come twice
        await desk.runner.take(wire.ToParty(over=wire.Over(job="train-1", succeeded=succeeded)), desk.send)
    assert model.exists() is succeeded and desk.runner.held() == []
    assert len(desk.home.registry.versions()) == int(succeeded)


@pytest.mark.parametrize("succeeded", [True, False])
async def test_how_a_job_ended_is_entered_by_the_last_word_where_a_kill_came_before(
    desk: Desk, tmp_path: Path, succeeded: bool
) -> None:
    await desk.offer(plan())
    desk.home.audit.add(What.PEER, "train-1")  # the parties have met
    after = Desk(tmp_path)
    assert [one.state for one in after.home.jobs.jobs()] == ["accepted"] and after.runner.held() == ["train-1"]
    await after.runner.take(wire.ToParty(over=wire.Over(job="train-1", succeeded=succeeded)), after.send)
    (found,) = after.home.jobs.jobs()
    assert (found.state, found.cause) == (("done", "") if succeeded else ("failed", "it ended while this party was away"))


@pytest.mark.parametrize("told", [True, False])
async def test_a_job_that_was_told_why_it_ends_keeps_that_cause_when_it_is_said_to_be_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """A cancelled job was reported as lost: the last word came while it was still ending."""
    begun = asyncio.Event()

    async def compute(*_: Any) -> wire.Report:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    monkeypatch.setattr(desk.runner._attempts, "_compute", compute)
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)
    await begun.wait()
    if told:
        cause = to_fault(JobCancelled("cancelled by the analyst"), "client")
        await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", fault=cause)), desk.send)
    await desk.runner.take(wire.ToParty(over=wire.Over(job="train-1")), desk.send)
    (fault,) = [message.failed.fault for message in desk.sent if message.HasField("failed")]
    said = ("JobCancelled", "cancelled by the analyst") if told else ("PeerLost", "the coordinator says that the job is over")
    assert (fault.kind, fault.message) == said
    (one,) = desk.home.jobs.jobs()
    assert (one.state, one.cause) == ("failed", said[1]) and desk.runner.held() == []


async def test_a_job_that_a_watch_has_stopped_is_not_cut_short_at_its_end_by_the_coordinator(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was cancelled once more: what it waits for at its end, as whether the other has kept the model, was left off."""
    begun, stops, other, ends = asyncio.Event(), asyncio.Event(), asyncio.Event(), list[bool]()

    async def compute(*_: Any) -> wire.Report:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stops.set()
            ends.append(False)
            await other.wait()
            ends.append(True)
        raise AssertionError("nobody sets it")

    monkeypatch.setattr(desk.runner._attempts, "_compute", compute)
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)
    task = desk.runner._jobs["train-1"].task
    assert task is not None
    await begun.wait()
    desk.runner.stop("train-1", PeerLost("the bank closed the connection"))
    await stops.wait()
    heard = to_fault(JobStateError("no space is left", job="train-1"), "bank")
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", fault=heard)), desk.send)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done() and "which has ended here, ends: " in caplog.text and "no space is left" in caplog.text
    other.set()
    await task
    (fault,) = [message.failed.fault for message in desk.sent if message.HasField("failed")]
    assert (fault.kind, fault.message, ends) == ("PeerLost", "the bank closed the connection", [False, True])


async def test_why_a_job_ends_is_told_to_a_party_whose_part_of_it_has_ended_before(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """By a lost line, say: of the disk that is full at the other end it hears after."""
    await desk.offer(plan())
    fault = to_fault(JobStateError("no space is left", job="train-1"), "bank")
    lost = wire.ToParty(stop=wire.Stop(job="train-1", fault=to_fault(PeerLost("the line broke"), "grid"), waits=True))
    full = wire.ToParty(stop=wire.Stop(job="train-1", fault=fault))
    await desk.runner.take(lost, desk.send)
    assert "no space" not in caplog.text
    await desk.runner.take(full, desk.send)
    assert "job train-1, which has ended here, ends: " in caplog.text and "no space is left" in caplog.text
    await desk.runner.take(wire.ToParty(over=wire.Over(job="train-1", succeeded=False)), desk.send)
    caplog.clear()
    await desk.runner.take(full, desk.send)
    assert not caplog.text


async def test_a_last_word_on_a_job_that_is_long_over_discards_nothing(desk: Desk) -> None:
    model = desk.home.models.folder("train-1")
    model.mkdir(parents=True)
    for job in ("train-1", "../models/train-1", ""):
        await desk.runner.take(wire.ToParty(over=wire.Over(job=job)), desk.send)
    assert model.exists()
