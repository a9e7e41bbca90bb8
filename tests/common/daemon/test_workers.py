"""Workers as a daemon has them: started, asked, lost and started again; processes of this test stand for them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from common.daemon.handing import Given
from common.daemon.run import Asked
from common.daemon.workers import Elsewhere, Workers
from common.errors import ConfigError, PeerLost, PolicyError
from common.party import Party
from common.wire.peer import Counter
from common.wire.rows import Road
from tests.patience import patience

_LIKE = """
import asyncio, socket, sys
from common.daemon.tether import Tether
from common.errors import PolicyError
from common.wire.status import to_fault

async def main():
    tether = Tether(socket.socket(fileno=int(sys.argv[-1])))
    await tether.say({"number": -1, "what": "ready"})
    while (said := await tether.hear()) is not None:
        number, what = said.told["number"], said.told["what"]
        if what == "refuse":
            fault = to_fault(PolicyError("not that"), "grid").SerializeToString().hex()
            await tether.say({"number": number, "what": what, "fault": fault})
        elif what != "wait":
            await tether.say({"number": number, "what": what, "place": sys.argv[-2]})

asyncio.run(main())
"""


@asynccontextmanager
async def working(folder: Path, program: str = _LIKE, count: int = 2) -> AsyncIterator[Workers]:
    (file := folder / "worker.py").write_text(program)
    workers = Workers(count, [sys.executable, str(file)], "grid")
    try:
        await workers.start()
        yield workers
    finally:
        await workers.stop()


async def test_each_answers_for_itself_and_says_why_it_does_not(tmp_path: Path) -> None:
    async with working(tmp_path) as workers:
        assert workers.ready
        said = await asyncio.gather(*(one.ask(7, "step", {}) for one in workers.processes))
        assert [one.told["place"] for one in said] == ["0", "1"]
        with pytest.raises(PolicyError, match="not that"):
            await workers.processes[0].ask(8, "refuse", {})
        pids = [one.pid for one in workers.processes]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_one_that_is_killed_is_named_to_who_waits_and_another_comes(tmp_path: Path) -> None:
    async with working(tmp_path) as workers:
        first, pid = workers.processes[0], workers.processes[0].pid
        waiting = asyncio.ensure_future(first.ask(1, "wait", {}))
        await first.ask(2, "step", {})  # by now it has heard of the first
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(PeerLost, match="worker 1 of the grid has ended"):
            await waiting
        found = await asyncio.wait_for(first.ask(3, "step", {}), patience(20))
        assert found.told["place"] == "0" and first.pid != pid and workers.ready


async def test_a_run_is_lost_with_its_process_and_is_not_asked_of_the_next_one(tmp_path: Path) -> None:
    """Which knows nothing of it: what it says of that would be no reason to try again."""
    road = Road("job", 0, "00", 1, 2, "00", 0, "")
    async with working(tmp_path) as workers:
        first = workers.processes[0]
        run = Elsewhere(first, 5, Asked(Party.GRID, "linear", {}, road, "00", "00"), Counter(), Counter())
        await run.open(Given.of({}))
        os.kill(first.pid, signal.SIGKILL)
        await asyncio.wait_for(_until(lambda: not first.ready), patience(20))
        with pytest.raises(PeerLost, match="worker 1 of the grid has ended"):
            await run.step(0, np.zeros(1, np.uint64), np.zeros(1, np.uint64))
        await asyncio.wait_for(_until(lambda: first.ready), patience(20))
        with pytest.raises(PeerLost, match="worker 1 of the grid has ended"):
            await run.account()
        await run.close()


async def test_one_that_stands_still_is_ended_where_a_run_is_over_and_another_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.daemon.workers._LAST", 0.2)
    road = Road("job", 0, "00", 1, 2, "00", 0, "")
    async with working(tmp_path, count=1) as workers:
        (only,) = workers.processes
        run = Elsewhere(only, 5, Asked(Party.GRID, "linear", {}, road, "00", "00"), Counter(), Counter())
        await run.open(Given.of({}))
        os.kill(pid := only.pid, signal.SIGSTOP)
        await run.close()
        await asyncio.wait_for(_until(lambda: only.ready and only.pid != pid), patience(20))
        assert not Path(f"/proc/{pid}").exists()


async def test_one_that_does_not_end_is_ended_with_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And none is started in its place: a daemon that is told to stop would wait for that without end."""
    monkeypatch.setattr("common.daemon.workers._LAST", 0.2)
    async with working(tmp_path) as workers:
        pids = [one.pid for one in workers.processes]
        os.kill(pids[1], signal.SIGSTOP)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert [one.ends for one in workers.processes] == [1, 1]


async def _until(come: Callable[[], bool]) -> None:
    while not come():
        await asyncio.sleep(0.01)


async def test_a_system_that_shares_no_memory_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(ConfigError, match="workers = 0"):
        async with working(tmp_path):
            pass
    async with working(tmp_path, count=0) as workers:
        assert not workers.ready


async def test_one_that_ends_as_it_starts_ends_the_start_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="worker 1 of the grid did not start"):
        async with working(tmp_path, "raise SystemExit(3)", 1):
            pass
