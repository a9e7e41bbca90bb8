"""Jobs that nobody offers again: whose process was killed they are over, and while one runs them nobody says so."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.daemon.booked import Booked
from common.daemon.killed import end_killed
from common.errors import ConfigError, JobStateError
from common.home.audit import What
from common.home.jobbook import Offered
from common.wire import party_pb2 as wire
from grid_party.home import GridHome
from tests.common.daemon.test_runner import BANK, Desk, plan, scoring
from tests.patience import patience
from tests.source import ROOT

_VICTIM = """
import sys, time
from pathlib import Path
from common.home.audit import What
from common.home.jobbook import Offered
from common.monitor.config import MonitorConfig
from common.plan.policy import Policy
from grid_party.home import GridHome
home = GridHome(Path(sys.argv[1]), "wattscore://neutral/coordinator", Policy(), MonitorConfig())
alone = home.unfinished.alone("score-2")
home.audit.add(What.ACCEPT, "score-2")
home.jobs.enter(Offered("score-2"))
print("runs", flush=True)
time.sleep(600)
"""


def states(home: GridHome) -> dict[str, str]:
    return {one.job: one.state for one in home.jobs.jobs()}


async def test_a_direct_job_is_this_processs_until_its_end_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, met = Desk(tmp_path), asyncio.Event()
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)

    async def meet(*_: Any) -> Any:
        met.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(desk.door, "meet", meet)
    task, _ = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await asyncio.wait_for(met.wait(), patience(20))
    end_killed(GridHome.of(desk.settings))  # as a command beside the daemon does
    assert states(desk.home) == {"score-1": "accepted"} and not desk.home.audit.newest(1, job="score-1", what=What.END)
    with pytest.raises(ConfigError, match="in use by"):
        desk.home.unfinished.alone("score-1")
    named = "score-1"
    for message in (
        wire.ToParty(stop=wire.Stop(job=named)),
        wire.ToParty(over=wire.Over(job=named)),
        wire.ToParty(over=wire.Over(job=named, succeeded=True)),
        wire.ToParty(offer=wire.Offer(job=named, plan=scoring(), client=str(BANK), attempt=1)),
    ):  # by who has not offered it
        await desk.runner.take(message, desk.send)
    assert desk.sent.pop().refuse.fault.message == "the coordinator offered job score-1 again" and not desk.sent
    await asyncio.sleep(0)
    assert not task.done() and "accepted" in {one.state for one in desk.home.jobs.jobs(9, named)}
    assert not desk.home.audit.newest(1, job=named, what=What.END)
    task.cancel()
    await asyncio.wait({task}, timeout=patience(20))
    assert "accepted" not in {one.state for one in desk.home.jobs.jobs(9, named)}
    desk.home.unfinished.alone("score-1").release()
    assert desk.home.unfinished.jobs() == []


async def test_a_direct_job_that_ends_before_it_begins_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    add = desk.home.audit.add

    def refuses(what: What, *more: Any, **detail: Any) -> None:
        if what is What.ACCEPT:
            raise OSError(28, "no space", "audit.sqlite")
        add(what, *more, **detail)

    monkeypatch.setattr(desk.home.audit, "add", refuses)
    with pytest.raises(Exception, match="no space"):
        await desk.runner.begin("score-1", scoring(), BANK, own=False)
    desk.home.unfinished.alone("score-1").release()


def test_the_job_of_a_process_that_was_killed_is_over_at_the_next_start_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    home = desk.home
    home.audit.add(What.ACCEPT, "train-1")  # the coordinator's, who says what becomes of it
    home.unfinished.begin("train-1", plan(), "wattscore://acme/analyst")
    home.jobs.enter(Offered("train-1"))
    home.jobs.enter(Offered("score-0", state="refused"))
    run = [sys.executable, "-c", _VICTIM, str(desk.settings.data)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, cwd=ROOT) as victim:
        try:
            assert victim.stdout is not None and victim.stdout.readline() == "runs\n"
            end_killed(home)
            assert states(home)["score-2"] == "accepted"
            with pytest.raises(ConfigError, match=f"process {victim.pid}"):
                home.unfinished.alone("score-2")
        finally:
            os.kill(victim.pid, signal.SIGKILL)
        victim.wait(patience(20))
    end_killed(home)
    assert states(home) == {"score-0": "refused", "train-1": "accepted", "score-2": "failed"}
    (found,) = home.jobs.jobs(1, "score-2")
    assert found.cause == "the process that ran it was killed" and found.ended > 0
    (end,) = home.audit.newest(2, job="score-2", what=What.END)
    end_killed(home)  # once
    assert home.audit.newest(2, job="score-2", what=What.END) == [end]
    assert not home.audit.newest(1, job="train-1", what=What.END)


@pytest.mark.parametrize("succeeded", [False, True])
async def test_how_a_direct_job_of_a_killed_process_ended_no_coordinator_says(tmp_path: Path, succeeded: bool) -> None:
    """Of a command beside the daemon, which lives: it would be done, or rest on no grant."""
    desk = Desk(tmp_path)
    desk.home.audit.add(What.ACCEPT, "score-2")
    desk.home.jobs.enter(Offered("score-2", grants={"grid t": "ab"}))
    await desk.runner.take(wire.ToParty(over=wire.Over(job="score-2", succeeded=succeeded)), desk.send)
    (found,) = desk.home.jobs.jobs()
    assert (found.state, found.grants) == ("accepted", {"grid t": "ab"})
    assert not desk.home.audit.newest(1, job="score-2", what=What.END)
    end_killed(desk.home)
    assert states(desk.home) == {"score-2": "failed"}


def test_a_job_of_a_party_by_itself_is_its_own_until_it_ends(tmp_path: Path) -> None:
    home = Desk(tmp_path).home
    booked = Booked(home.jobs)
    with booked.alone(Offered("score-1"), home.unfinished) as counts:
        end_killed(home)
        assert states(home) == {"score-1": "accepted"}
        counts["matched_rows"] = 3
    (found,) = home.jobs.jobs(1, "score-1")
    assert (found.state, found.counts) == ("done", {"matched_rows": 3})
    with pytest.raises(JobStateError), booked.alone(Offered("score-2"), home.unfinished):
        raise JobStateError("not now")
    assert states(home) == {"score-1": "done", "score-2": "failed"}
    for job in ("score-1", "score-2"):
        assert not home.unfinished.runs_alone(job)
