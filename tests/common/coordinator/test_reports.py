"""When a job is done: both reports count, and how the dealer's streams end does not; streams that say nothing are ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.coordinator import cause, drive, service
from common.errors import PeerLost
from common.party import Party
from common.wire import party_pb2
from tests.common.coordinator.conftest import STALL
from tests.common.coordinator.office import PARTY, Caller, Office, join, office
from tests.patience import patience


async def dealt(here: Office, job: str) -> list[Caller]:
    """Both parties' dealer streams, on which seeds have come; their handlers' tasks are in `ended`."""
    callers = []
    for party in Party:
        caller: Any = Caller(PARTY[party])
        caller.say(join(job))
        here.ended[caller] = asyncio.create_task(here.coordinator.deal(None, caller))
        callers.append(caller)
    await here.until(lambda: all(caller.heard for caller in callers))
    return callers


def report(*parties: Caller, job: str) -> None:
    for caller in parties:
        caller.say(party_pb2.FromParty(done=party_pb2.Done(job=job)))


async def test_both_reports_end_a_job_though_dealing_does_not(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        await dealt(here, job)
        report(grid, bank, job=job)
        assert (await here.final(job)).state == "succeeded"


async def test_dealing_that_fails_as_it_is_stopped_is_no_error_that_nobody_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with its own error, not as cancelled, where a line breaks as both parties' reports have come."""
    said, begun = list[dict[str, Any]](), asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))

    async def breaks(_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise PeerLost("the connection broke") from None

    monkeypatch.setattr(drive.Drive, "_deal_all", breaks)
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        await begun.wait()
        report(grid, bank, job=job)
        assert (await here.final(job)).state == "succeeded"
    del here
    gc.collect()
    assert said == []


async def test_reports_that_come_soon_after_a_dealer_stream_broke_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cause, "BETTER", patience(5))
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        for caller in await dealt(here, job):
            caller.say(PeerLost("the connection broke"))
            await here.until(here.ended[caller].done)
        await asyncio.sleep(0.05)  # dealing has failed by now
        report(grid, bank, job=job)
        assert (await here.final(job)).state == "succeeded"


async def test_a_broken_dealer_stream_fails_the_job_when_no_reports_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cause, "BETTER", 0.05)
    async with office(tmp_path) as here:
        job, grid, _ = await here.running()
        report(grid, job=job)
        for caller in await dealt(here, job):
            caller.say(PeerLost("the connection broke"))
        ended = await here.final(job)
        assert (ended.state, ended.fault.kind) == ("failed", "PeerLost")


@pytest.mark.parametrize("method", ["attend", "deal"])
async def test_a_stream_that_says_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(service, "ANSWER", 0.02)
    async with office(tmp_path) as here:
        silent: Any = Caller(PARTY[Party.GRID])
        with pytest.raises(PeerLost, match="opened a stream and said nothing"):
            await asyncio.wait_for(getattr(here.coordinator, method)(None, silent), patience(5))
        assert not silent.heard


async def test_a_job_of_which_nobody_says_anything_ends(tmp_path: Path, stall_passes: Callable[[], None]) -> None:
    """A process that is stuck still answers pings: only its silence tells."""
    async with office(tmp_path, stall_timeout=STALL) as here:
        job, grid, _ = await here.running()
        for done in range(1, 4):
            grid.say(party_pb2.FromParty(progress=party_pb2.Progress(job=job, stage="align", done=done)))
            await here.until(lambda done=done: here.shown(job).grid.progress.done == done)  # type: ignore[misc]
            stall_passes()
            await asyncio.sleep(0.01)
        assert here.shown(job).state == "running"
        stall_passes()
        ended = await here.final(job)
        assert ended.state == "failed" and ended.fault.message == "no party has reported anything for 7 s"
