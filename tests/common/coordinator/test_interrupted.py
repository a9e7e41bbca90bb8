"""What the coordinator does with a job that is interrupted: it waits, is offered again, goes on, and ends once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.coordinator import queue
from common.coordinator.board import JobRecord
from common.errors import JobStateError
from common.mpc.seeds import NONCE_BYTES
from common.party import Identity, Party
from common.plan.several import SeveralPlan
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2
from common.wire.peer import PROTOCOL
from common.wire.peer_pb2 import Fault
from tests.common.coordinator.office import PARTY, Caller, Office, client, office


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_PAUSE", 0.001)


def trains(caller: Caller, job: str, attempt: int = 0) -> None:
    """The party says that it has met the other."""
    caller.say(party_pb2.FromParty(progress=party_pb2.Progress(job=job, stage="train", done=3, attempt=attempt)))


def loses_its_line(caller: Caller, job: str, attempt: int = 0) -> None:
    fault = Fault(kind="PeerLost", message="the line broke", origin="bank")
    caller.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=fault, attempt=attempt)))


async def again(job: str, callers: dict[Party, Caller], attempt: int) -> None:
    """Both are offered the job again, accept, and are told to start."""
    for caller in callers.values():
        offer = (await caller.hears("offer")).offer
        assert (offer.job, offer.attempt, offer.begun) == (job, attempt, True)
        caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, attempt=attempt)))
    for caller in callers.values():
        await caller.hears("start")


def reports(caller: Caller, job: str, attempt: int) -> None:
    caller.say(party_pb2.FromParty(done=party_pb2.Done(job=job, report=party_pb2.Report(), attempt=attempt)))


async def test_a_job_whose_party_is_lost_waits_for_it_and_goes_on(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, bank = await here.running()
        trains(grid, job)
        bank.say(None)
        stop = (await grid.hears("stop")).stop
        assert stop.waits and stop.job == job
        await here.until(lambda: here.shown(job).state == "waiting")
        shown = await here.coordinator.show(wire.JobRequest(job=job), client())
        assert (shown.grid.connected, shown.bank.connected, shown.disturbed.origin) == (True, False, "bank")
        assert not shown.grid.progress.stage and not shown.HasField("fault")
        bank = await here.attend(Party.BANK)
        await again(job, {Party.GRID: grid, Party.BANK: bank}, 1)
        for caller in (grid, bank):
            reports(caller, job, 1)
        assert (await here.final(job)).state == "succeeded"
        for caller in (grid, bank):
            assert (await caller.hears("over")).over == party_pb2.Over(job=job, succeeded=True)
        said = [event.what for event in here.shown(job).events]
        assert said.count("interrupted") == 1 and said.count("offered") == 2 and said[-1] == "succeeded"


async def test_what_is_said_in_an_earlier_attempt_counts_no_more(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, bank = await here.running()
        trains(bank, job)
        reports(grid, job, 0)  # the bank has not: both report in one attempt, or none has
        await here.until(lambda: here.shown(job).bank.progress.stage == "train")
        loses_its_line(bank, job)
        await again(job, {Party.GRID: grid, Party.BANK: bank}, 1)
        loses_its_line(grid, job, 0)
        reports(bank, job, 0)
        trains(grid, job, 0)
        drive = here.coordinator._running(job)
        late: Any = Caller(PARTY[Party.GRID])
        with pytest.raises(JobStateError, match="the grid is at another attempt"):
            await drive.deal(Party.GRID, late, party_pb2.Join(job=job, nonce=bytes(NONCE_BYTES), key=bytes(32), attempt=0), 0)
        reports(bank, job, 1)
        await here.until(lambda: drive._done[Party.BANK].done())
        assert here.shown(job).state == "running" and not here.shown(job).grid.progress.stage
        reports(grid, job, 1)
        assert (await here.final(job)).state == "succeeded"


async def test_a_line_that_has_never_worked_fails_the_job_at_once(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, bank = await here.running()
        loses_its_line(bank, job)
        loses_its_line(grid, job)
        ended = await here.final(job)
        assert (ended.state, ended.fault.message) == ("failed", "the line broke")
        assert (await grid.hears("over")).over == party_pb2.Over(job=job)


async def test_a_party_that_is_restarted_before_they_have_met_is_waited_for(tmp_path: Path) -> None:
    """It says that it was told to stop, and its stream to the coordinator is there for a moment longer."""
    async with office(tmp_path, resume_days=1) as here:
        job, grid, bank = await here.running()
        cause = Fault(kind="PeerStopped", message="the grid-party is shutting down", origin="grid")
        grid.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=cause)))
        assert (await bank.hears("stop")).stop.waits
        await here.until(lambda: here.shown(job).disturbed.kind == "PeerStopped")
        grid.say(None)
        await here.until(here.ended[grid].done)
        grid = await here.attend(Party.GRID)
        attempt = (await grid.hears("offer")).offer.attempt
        assert attempt in (1, 2)  # 1 was offered to the old stream too, where that lived long enough
        while (await bank.hears("offer")).offer.attempt != attempt:
            pass
        for caller in (grid, bank):
            caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, attempt=attempt)))
        for caller in (grid, bank):
            await caller.hears("start")
            reports(caller, job, attempt)
        assert (await here.final(job)).state == "succeeded"


@pytest.mark.parametrize("kind", ["DataError", "PolicyError", "PeerFailed", "InternalError"])
async def test_what_would_happen_again_is_no_interruption(tmp_path: Path, kind: str) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, _ = await here.running()
        trains(grid, job)
        fault = Fault(kind=kind, message="its own", origin="grid")
        grid.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=fault)))
        ended = await here.final(job)
        assert (ended.state, ended.fault.kind, ended.attempt) == ("failed", kind, 0)


async def test_interruptions_and_days_have_an_end(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1, interruptions=1) as here:
        job, grid, bank = await here.running()
        trains(grid, job)
        await here.until(lambda: here.shown(job).grid.progress.stage == "train")
        loses_its_line(bank, job)
        await again(job, {Party.GRID: grid, Party.BANK: bank}, 1)
        loses_its_line(bank, job, 1)
        assert (await here.final(job)).state == "failed"
    async with office(tmp_path / "two", resume_days=1e-9) as here:
        job, _, bank = await here.running()
        bank.say(None)
        ended = await here.final(job)
        assert (
            ended.state == "failed" and "the bank did not connect to the coordinator within 1e-09 days" in ended.fault.message
        )


async def test_a_waiting_job_is_cancelled_and_the_next_one_runs(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, bank = await here.running()
        bank.say(None)
        await here.until(lambda: here.shown(job).state == "waiting")
        behind = await here.submit()
        assert (await here.coordinator.cancel(wire.JobRequest(job=job), client())).state == "cancelled"
        assert (await grid.hears("over")).over == party_pb2.Over(job=job)
        await here.attend(Party.BANK)
        assert (await grid.hears("offer")).offer.job == behind


async def test_jobs_outlive_the_coordinator_in_the_order_of_before(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, _ = await here.running()
        trains(grid, job)
        behind = await here.submit()
        await here.coordinator.stop("the coordinator is shutting down")
        assert here.shown(job).state == "waiting" and here.shown(behind).state == "queued"
    async with office(tmp_path, resume_days=1) as here:
        callers = {party: await here.attend(party) for party in Party}
        await again(job, callers, 1)
        for caller in callers.values():
            reports(caller, job, 1)
        for caller in callers.values():
            offer = (await caller.hears("offer")).offer
            assert (offer.job, offer.attempt, offer.begun) == (behind, 0, False)


async def test_a_party_that_was_away_hears_what_has_become_of_its_jobs(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1) as here:
        job, grid, bank = await here.running()
        for caller in (grid, bank):
            reports(caller, job, 0)
        await here.final(job)
        late: Any = Caller(PARTY[Party.BANK])
        held = [job, "train-20200101-00000000"]
        late.say(party_pb2.FromParty(register=party_pb2.Register(party="bank", protocol=PROTOCOL, held=held)))
        here.ended[late] = asyncio.create_task(here.coordinator.attend(None, late))
        told = [(await late.hears("over")).over for _ in held]
        assert told == [party_pb2.Over(job=job, succeeded=True), party_pb2.Over(job=held[1])]


BANKS = tuple(Identity(name, "bank-party") for name in ("acme", "north", "south"))


async def street(here: Office, gone: bool, **more: Any) -> tuple[str, Caller, list[Caller]]:
    """A job of three banks, with its grid and banks; the last one never came if it is gone, else all have begun to train."""
    grid, *banks = [await here.attend(who) for who in (Party.GRID, *BANKS[: 2 if gone else 3])]
    sides = [{"who": str(who), "dataset": "x"} for who in BANKS]
    plan = SeveralPlan.model_validate({"grid": {"dataset": "m"}, "banks": sides, "min_live": 2, "leave_out_after": 0.0, **more})
    job = (await here.coordinator.submit(wire.SubmitRequest(plan=plan.canonical()), client())).id
    if not gone:
        await accepted(job, [grid, *banks], 0)
        for caller in (grid, *banks):
            trains(caller, job)
        await here.until(lambda: all(bank.progress.stage for bank in here.shown(job).banks))
    return job, grid, banks


async def accepted(job: str, callers: list[Caller], attempt: int, without: tuple[Identity, ...] = ()) -> None:
    for caller in callers:
        offer = (await caller.hears("offer")).offer
        assert (offer.attempt, list(offer.without)) == (attempt, [str(who) for who in without])
        caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, attempt=attempt)))
    for caller in callers:
        await caller.hears("start")


async def test_a_bank_that_never_comes_is_left_out_where_the_plan_says_so(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1, more_banks=list(map(str, BANKS[1:]))) as here:
        job, grid, banks = await street(here, gone=True)
        await accepted(job, [grid, *banks], 0, BANKS[2:])
        shown = await here.coordinator.show(wire.JobRequest(job=job), client())
        assert [bank.left_out for bank in shown.banks] == [False, False, True] and shown.state == "running"
        assert [event.who for event in shown.events if event.what == "left out"] == ["bank south"]
        again = JobRecord(wire.Job.FromString(here.shown(job).SerializeToString()), None)
        assert again.left_out == BANKS[2:]  # as the journal has it


async def test_one_that_is_lost_is_left_out_for_good_and_told_so_when_it_comes_back(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1, more_banks=list(map(str, BANKS[1:]))) as here:
        job, grid, banks = await street(here, gone=False)
        banks[0].say(None)
        await accepted(job, [grid, *banks[1:]], 1, BANKS[:1])
        assert here.shown(job).banks[0].left_out
        back = await here.attend(BANKS[0], held=[job])
        assert (await back.hears("over")).over == party_pb2.Over(job=job, succeeded=False)
        for caller in (grid, *banks[1:]):
            reports(caller, job, 1)
        assert (await here.final(job)).state == "succeeded" and len(here.shown(job).dealer.banks) == 3
        assert (await banks[1].hears("over")).over.succeeded and not (await back.hears("over")).over.succeeded


async def test_below_min_live_or_without_the_grid_it_waits(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1, more_banks=list(map(str, BANKS[1:]))) as here:
        job, grid, banks = await street(here, gone=False, min_live=2)
        for caller in banks[:2]:
            caller.say(None)
        await here.until(lambda: here.shown(job).state == "waiting")
        await asyncio.sleep(0.05)
        assert here.shown(job).state == "waiting" and not any(bank.left_out for bank in here.shown(job).banks)
        back = await here.attend(BANKS[1])
        await accepted(job, [grid, back, banks[2]], 1, BANKS[:1])


async def test_a_party_that_does_not_let_it_go_on_without_one_keeps_it_waiting(tmp_path: Path) -> None:
    async with office(tmp_path, resume_days=1, more_banks=list(map(str, BANKS[1:]))) as here:
        job, grid, banks = await street(here, gone=False)
        banks[2].say(None)
        for caller in (grid, *banks[:2]):
            assert (await caller.hears("offer")).offer.without == [str(BANKS[2])]
        for caller in (grid, banks[0]):
            caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, attempt=1)))
        fault = Fault(kind="JobStateError", message="it has told sums over the rows of all of them", origin="bank")
        banks[1].say(party_pb2.FromParty(refuse=party_pb2.Refuse(job=job, fault=fault, attempt=1)))
        await here.until(lambda: here.shown(job).waits_for_all and here.shown(job).state == "waiting")
        assert not any(bank.left_out for bank in here.shown(job).banks)
        back = await here.attend(BANKS[2])
        await accepted(job, [grid, *banks[:2], back], 2)
