"""A full disk: what a party must clear is cleared once there is room, and a refusal is said; nothing ends the daemon."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from pathlib import Path

import pytest

from common.daemon import again
from common.daemon.again import Again
from common.wire import party_pb2 as wire
from tests.common.daemon.test_runner import Desk, plan
from tests.patience import patience


class Full:
    """The disk of this process, while `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, self._sync = False, os.fsync
        monkeypatch.setattr(os, "fsync", self.sync)

    def sync(self, handle: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(handle)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Full:
    monkeypatch.setattr(again, "PAUSE", 0.01)
    return Full(monkeypatch)


async def test_what_is_kept_of_a_job_that_is_over_goes_once_there_is_room(
    tmp_path: Path, disk: Full, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the daemon, and with it every other job of this party."""
    desk = Desk(tmp_path)
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    (model := desk.home.models.folder("train-1")).mkdir(parents=True)
    disk.full = True
    with caplog.at_level(logging.ERROR):
        await desk.runner.take(wire.ToParty(over=wire.Over(job="train-1")), desk.send)
        await asyncio.sleep(0.1)
    assert caplog.text.count("no space is left") == 1 and desk.runner.held() == ["train-1"]
    disk.full, end = False, time.monotonic() + patience(10.0)
    while desk.runner.held() and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert desk.runner.held() == [] and not model.exists()


async def test_an_offer_that_a_full_disk_refuses_is_refused_with_the_cause(tmp_path: Path, disk: Full) -> None:
    desk = Desk(tmp_path)
    disk.full = True
    fault = (await desk.offer(plan())).refuse.fault
    assert fault.message == "a file of its own: no space is left" and "Make room" in fault.remedy
    disk.full = False
    assert (await desk.offer(plan(), job="train-2")).accept.job == "train-2"


async def test_a_refusal_that_cannot_be_entered_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path)

    def add(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(desk.home.audit, "add", add)
    assert (await desk.offer(plan())).refuse.fault.message == "a file of its own: no space is left"
    assert "the refusal of job train-1 is not in the audit log" in caplog.text


async def test_what_is_tried_again_ends_with_the_daemon(disk: Full) -> None:
    tried = 0

    async def work() -> None:
        nonlocal tried
        tried += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    trying = Again()
    await trying.do("something", work)
    while tried < 3:
        await asyncio.sleep(0.01)
    trying.stop()
    await asyncio.sleep(0)
    count = tried
    await asyncio.sleep(0.05)
    assert tried == count
