"""What the coordinator does with a job that a party holds for its people: others go on, and it outlives the process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.errors import PolicyError
from common.party import Identity, Party
from common.plan.job_states import Event
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2
from tests.common.coordinator.office import CLIENT, PLAN, Caller, Office, client, office
from tests.patience import patience

AUDITOR, OTHER = Identity("acme", "auditor"), Identity("acme", "other")


def holds(caller: Caller, job: str, attempt: int = 0) -> None:
    caller.say(party_pb2.FromParty(hold=party_pb2.Hold(job=job, attempt=attempt)))


def accepts(caller: Caller, job: str, attempt: int = 0) -> None:
    caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, attempt=attempt)))


def ready(caller: Caller, job: str) -> None:
    caller.say(party_pb2.FromParty(ready=party_pb2.Ready(job=job)))


async def held(here: Office, *whom: Party) -> tuple[str, dict[Party, Caller]]:
    """A job that these parties hold."""
    callers = {party: await here.attend(party) for party in Party}
    job = await here.submit()
    for party, caller in callers.items():
        await caller.hears("offer")
        (holds if party in whom else accepts)(caller, job)
    await here.until(lambda: here.shown(job).state == "held")
    return job, callers


async def test_a_held_job_says_whom_it_waits_for_and_others_go_on(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        assert (here.shown(job).grid.held, here.shown(job).bank.held) == (True, False)
        for caller in callers.values():
            assert (await caller.hears("stop")).stop.waits
        other = await here.submit()
        for caller in callers.values():
            assert (await caller.hears("offer")).offer.job == other
        short = (await here.coordinator.list(wire.ListRequest(state="held"), client())).jobs
        assert [(found.id, found.grid.held) for found in short] == [(job, True)]


async def test_it_is_offered_again_as_a_later_attempt_once_the_last_of_them_has_spoken(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, *Party)
        ready(callers[Party.BANK], job)
        await here.until(lambda: not here.shown(job).bank.held)
        assert here.shown(job).state == "held"
        ready(callers[Party.BANK], job)  # said again: nothing
        ready(callers[Party.GRID], job)
        for caller in callers.values():
            offer = (await caller.hears("offer")).offer
            assert (offer.job, offer.attempt, offer.begun) == (job, 1, False)
            accepts(caller, job, 1)
        for caller in callers.values():
            assert (await caller.hears("start")).start.job == job
        said = [event.what for event in here.shown(job).events]
        assert said.count("held") == 3 and said.count("decided") == 2 and said.count("released") == 1


async def test_it_is_offered_again_though_the_stream_that_spoke_is_replaced_at_that_moment(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        here.board.get(job)._changed = told = asyncio.Condition()
        await told.acquire()  # somebody is being told of the job: `move` waits
        ready(callers[Party.GRID], job)
        await here.until(lambda: here.shown(job).state == "queued")
        again = await here.attend(Party.GRID)
        await here.until(here.ended[callers[Party.GRID]].done)
        told.release()
        for caller in (again, callers[Party.BANK]):
            offer = (await caller.hears("offer")).offer
            assert (offer.job, offer.attempt) == (job, 1)


async def test_it_outlives_the_coordinator_and_is_not_offered_before_its_time(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, _ = await held(here, Party.GRID)
    async with office(tmp_path) as here:
        callers = {party: await here.attend(party) for party in Party}
        other = await here.submit()
        for caller in callers.values():
            assert (await caller.hears("offer")).offer.job == other
        await here.coordinator.cancel(wire.JobRequest(job=other), client())
        assert here.shown(job).state == "held" and here.shown(job).grid.held
        ready(callers[Party.GRID], job)
        offer = (await callers[Party.GRID].hears("offer")).offer
        assert (offer.job, offer.attempt) == (job, 1)


async def test_a_denial_is_the_partys_refusal_when_it_is_offered_again(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        ready(callers[Party.GRID], job)
        await callers[Party.GRID].hears("offer")
        fault: Any = {"kind": "PolicyError", "message": "a person of the grid has denied this job: why", "origin": "grid"}
        refuse = party_pb2.Refuse(job=job, fault=fault, attempt=1)
        callers[Party.GRID].say(party_pb2.FromParty(refuse=refuse))
        ended = await here.final(job)
        assert (ended.state, ended.fault.message) == ("failed", fault["message"])


async def test_a_client_cancels_it_and_parties_hear_that_it_is_over(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        assert (await here.coordinator.cancel(wire.JobRequest(job=job), client())).state == "cancelled"
        for caller in callers.values():
            assert (await caller.hears("over")).over == party_pb2.Over(job=job, succeeded=False)
        ready(callers[Party.GRID], job)
        other = await here.submit()
        assert (await callers[Party.GRID].hears("offer")).offer.job == other


async def test_held_jobs_count_among_those_of_a_client_that_wait(tmp_path: Path) -> None:
    async with office(tmp_path, queued_jobs=1) as here:
        job, _ = await held(here, Party.GRID)
        with pytest.raises(PolicyError, match="1 jobs of wattscore://acme/client wait already"):
            await here.submit()
        await here.coordinator.cancel(wire.JobRequest(job=job), client())
        await here.submit()


async def test_clients_do_what_their_roles_say(tmp_path: Path) -> None:
    clients = [str(CLIENT), str(AUDITOR), str(OTHER)]
    roles = {str(CLIENT): ["submit"], str(AUDITOR): ["view"], str(OTHER): ["score"]}
    async with office(tmp_path, clients=clients, roles=roles) as here:
        desk, job = here.coordinator, await here.submit()
        asked = wire.SubmitRequest(plan=PLAN.canonical())
        with pytest.raises(PolicyError, match="wattscore://acme/auditor may not train models"):
            await desk.submit(asked, client(AUDITOR))
        promote = wire.SubmitRequest(plan='{"kind":"promote","model":"train-1"}')
        with pytest.raises(PolicyError, match="wattscore://acme/client may not change which model is the champion"):
            await desk.submit(promote, client())
        request = wire.JobRequest(job=job)
        assert (await desk.show(request, client(AUDITOR))).id == job == (await desk.show(request, client())).id
        with pytest.raises(PolicyError, match="wattscore://acme/other may not see jobs of others"):
            await desk.show(request, client(OTHER))
        assert [len((await desk.list(wire.ListRequest(), client(who))).jobs) for who in (CLIENT, AUDITOR, OTHER)] == [1, 1, 0]
        with pytest.raises(PolicyError, match="auditor may not train models"):
            await desk.cancel(request, client(AUDITOR))
        assert (await desk.cancel(request, client())).state == "cancelled"


async def test_a_held_job_that_is_cancelled_is_known_no_more(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        await here.coordinator.cancel(wire.JobRequest(job=job), client())
        assert not here.coordinator._held._records
        ready(callers[Party.GRID], job)
        for caller in callers.values():
            assert (await caller.hears("over")).over.job == job
        assert here.shown(job).state == "cancelled"


async def test_one_that_is_cancelled_after_the_word_and_before_its_turn_is_told_to_be_over(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        await here.submit()
        for caller in callers.values():
            await caller.hears("offer")  # of the other job, which has the turn
        ready(callers[Party.GRID], job)
        await here.until(lambda: here.shown(job).state == "queued")
        await here.coordinator.cancel(wire.JobRequest(job=job), client())
        assert not list(here.coordinator._queue)
        for caller in callers.values():
            over = (await caller.hears("over")).over
            assert (over.job, over.succeeded) == (job, False)


async def test_jobs_that_are_cancelled_before_their_turn_leave_the_queue(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await here.submit()  # has its turn: it waits for the parties
        jobs = [await here.submit() for _ in range(3)]
        for job in jobs[:2]:
            await here.coordinator.cancel(wire.JobRequest(job=job), client())
        assert [record.id for record in here.coordinator._queue] == jobs[2:]


async def test_one_that_is_cancelled_just_as_the_last_word_comes_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path) as here:
        job, callers = await held(here, Party.GRID)
        move, cancelled = here.board.move, list[str]()

        async def moved(record: Any, event: Event, *cause: Any) -> None:
            await move(record, event, *cause)
            if event is Event.RELEASE and not cancelled:
                cancelled.append(record.id)
                await here.coordinator.cancel(wire.JobRequest(job=job), client())

        monkeypatch.setattr(here.board, "move", moved)
        ready(callers[Party.GRID], job)
        await here.until(lambda: here.shown(job).state == "cancelled")
        ready(callers[Party.GRID], job)
        assert cancelled == [job] and (await callers[Party.GRID].hears("over")).over.job == job
        await here.submit()
        assert (await callers[Party.GRID].hears("offer")).offer.job != job  # its stream goes on


@pytest.mark.parametrize("event", [Event.HOLD, Event.INTERRUPT])
async def test_one_that_is_cancelled_just_as_it_is_put_off_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: Event
) -> None:
    """Held or interrupted: it had stayed so, and who cancels had waited with it."""
    async with office(tmp_path, resume_days=1) as here:
        move, cancelling = here.board.move, list[asyncio.Task[wire.Job]]()

        async def moved(record: Any, now: Event, *cause: Any) -> None:
            await move(record, now, *cause)
            if now is event:
                cancelling.append(asyncio.create_task(here.coordinator.cancel(wire.JobRequest(job=record.id), client())))
                await asyncio.sleep(0)  # it has said so by then

        monkeypatch.setattr(here.board, "move", moved)
        callers = {party: await here.attend(party) for party in Party}
        job = await here.submit()
        for party, caller in callers.items():
            await caller.hears("offer")
            (holds if party is Party.GRID and event is Event.HOLD else accepts)(caller, job)
        if event is Event.INTERRUPT:
            await callers[Party.GRID].hears("start")
            callers[Party.BANK].say(None)
        await here.until(lambda: bool(cancelling))
        assert (await asyncio.wait_for(cancelling[0], patience(5))).state == "cancelled"
        assert (await callers[Party.GRID].hears("over")).over == party_pb2.Over(job=job, succeeded=False)
        assert not here.coordinator._held.of(str(CLIENT)) and not list(here.coordinator._queue)
        if event is Event.INTERRUPT:
            await here.attend(Party.BANK)
        other = await here.submit()
        await here.until(lambda: here.shown(other).state == "offered")


async def test_one_that_is_released_has_the_time_of_a_new_one_for_its_parties_to_come(tmp_path: Path) -> None:
    """That of its first turn is over by then: it had failed where a party was away as the last word came."""
    async with office(tmp_path, attend_timeout=3600.0) as here:
        job, callers = await held(here, Party.GRID)
        here.coordinator._queue._since -= 2 * 3600.0  # as long as its people took
        callers[Party.BANK].say(None)
        await here.until(lambda: not here.coordinator.attends(Party.BANK))
        ready(callers[Party.GRID], job)
        await here.until(lambda: any(event.what == "released" for event in here.shown(job).events))
        other = await here.submit()  # the queue is looked at once more
        await here.until(lambda: bool(list(here.coordinator._queue)) or here.board.get(job).state.final)
        bank = await here.attend(Party.BANK)
        assert (await bank.hears("offer")).offer.job == job and here.shown(other).state == "queued"
