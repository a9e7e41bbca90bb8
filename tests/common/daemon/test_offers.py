"""Names under which jobs are offered: files are named after them, so a party takes none that is no name or known here."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from common.daemon.granted import Grants
from common.disk.data_folder import Name
from common.errors import JobCancelled, PeerLost, PeerProtocolError, PolicyError
from common.plan.predeal import PredealPlan
from common.wire import party_pb2 as wire
from tests.common.daemon.test_runner import BANK, Desk, plan, scoring
from tests.common.home.test_stocks import store


def refused(answer: wire.FromParty) -> str:
    fault = answer.refuse.fault
    assert (fault.kind, fault.origin) == ("PeerProtocolError", "grid")
    return fault.message


@pytest.mark.parametrize("job", ["../../victim", "a/b", "", "a" * 65, ".", "-a", "a\n"])
async def test_a_job_whose_name_is_none_is_refused(tmp_path: Path, job: str) -> None:
    desk = Desk(tmp_path)
    assert "a name that is none" in refused(await desk.offer(plan(), job))
    assert not desk.runner._jobs and not desk.door._arrived
    assert (await desk.offer(plan(), "a" * 64)).accept.job == "a" * 64


async def test_a_job_that_is_here_already_is_refused_and_goes_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.offer(plan(), "train-1")
    running = desk.runner._jobs["train-1"]
    assert "offered job train-1 again" in refused(await desk.offer(plan(), "train-1"))
    assert desk.runner._jobs["train-1"] is running and "train-1" in desk.door._arrived


async def test_a_job_that_has_left_a_file_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    file = tmp_path / "data" / "models" / "train-1" / "model.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("kept")
    assert "offered job train-1 again" in refused(await desk.offer(plan(), "train-1"))
    assert not desk.runner._jobs and file.read_text() == "kept"


async def test_a_name_that_a_job_has_run_under_is_taken_again_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    for job in ("score-1", "score-2"):
        task, _ = await desk.runner.begin(job, scoring(), BANK, own=False)
        await desk.runner.stop_all(JobCancelled("the bank has ended it before it left anything"))
        await task
        with pytest.raises(PeerProtocolError, match=f"the other party offered job {job} again"):
            await desk.runner.begin(job, scoring(), BANK, own=False)
        refusal = (await desk.offer(plan(), job)).refuse.fault
        assert f"the coordinator offered job {job} again" in refusal.message
    assert [usage.jobs for usage in desk.home.rates.usage()] == [2]
    ran = [one.job for one in desk.home.jobs.jobs() if one.state == "failed"]
    assert ran == ["score-1", "score-2"]  # of which a grant that is for so many a month counts each


async def test_a_job_that_waits_for_people_gives_its_name_to_none_that_the_bank_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, hold=["train"])
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    assert (await desk.offer(plan())).hold.job == "train-1"
    with pytest.raises(PeerProtocolError, match="the other party offered job train-1 again"):
        await desk.runner.begin("train-1", scoring(), BANK, own=False)
    assert desk.home.jobs.jobs(job="train-1")[0].state == "held"
    held = desk.home.approvals.find("train-1")
    for person in ("ann", "bob")[: desk.home.policy.approvals]:
        desk.home.approvals.say(held.job, held.digest, person, yes=True)
    assert (await desk.offer(plan())).accept.job == "train-1"


STOCK = {"rows": 2000, "grid_columns": 10, "bank_columns": 4}


async def test_a_stock_is_taken_within_the_budget_and_under_a_new_name(tmp_path: Path) -> None:
    desk, fits = Desk(tmp_path), PredealPlan.model_validate(STOCK)
    assert (await desk.offer(fits.canonical(), "predeal-1")).accept.job == "predeal-1"
    large = PredealPlan.model_validate({**STOCK, "rows": 10**8})
    fault = (await desk.offer(large.canonical(), "predeal-2")).refuse.fault
    assert fault.kind == "PolicyError" and "stock_mib" in fault.message
    store(desk.runner._home.stocks, "predeal-3", plan=fits)
    assert "offered job predeal-3 again" in refused(await desk.offer(fits.canonical(), "predeal-3"))


async def test_a_training_that_needs_a_stock_is_refused_where_there_is_none(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    fault = (await desk.offer(plan(dealt="ahead"), "train-1")).refuse.fault
    assert fault.kind == "PolicyError" and "the grid has no unspent stock for this plan: there is none" in fault.message
    store(desk.runner._home.stocks, "predeal-1", plan=PredealPlan.model_validate(STOCK))
    assert (await desk.offer(plan(dealt="ahead"), "train-2")).accept.job == "train-2"


async def test_a_name_that_the_book_of_jobs_has_lost_is_no_job_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That book is written last, and not where the disk refuses: under the same name a job more would not be counted."""
    desk = Desk(tmp_path)
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    task, _ = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await desk.runner.stop_all(PeerLost("the grid is shutting down"))
    await task
    with pytest.raises(PeerProtocolError, match="offered job score-1 again"):
        await desk.runner.begin("score-1", scoring(), BANK, own=False)
    with closing(sqlite3.connect(desk.settings.data / Name.JOBS)) as book, book:
        book.execute("delete from jobs")
    with pytest.raises(PolicyError, match="has had a job score-1 in the last 24 hours"):
        await desk.runner.begin("score-1", scoring(), BANK, own=False)
    assert [usage.jobs for usage in desk.home.rates.usage()] == [1]
