"""Whose turn it is where parties are gone: a job that waits for its own lets those of others go ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.coordinator import queue
from common.coordinator.board import Board
from common.coordinator.service import Coordinator
from common.errors import PeerProtocolError
from common.party import Identity, Party
from common.plan.job_states import State
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2
from common.wire.peer import PROTOCOL
from tests.common.coordinator.office import PARTY, PLAN, Caller, Office, client, make_settings, office
from tests.common.coordinator.test_interrupted import loses_its_line, reports, trains

ACME, NORTH = Identity("acme", "bank-party"), Identity("north", "bank-party")
SEVERAL: dict[str, Any] = {"resume_days": 1, "more_banks": [str(NORTH)]}


async def asked(here: Office, bank: Identity) -> str:
    """A training with this bank."""
    plan = PLAN.model_copy(update={"with_bank": str(bank)})
    return (await here.coordinator.submit(wire.SubmitRequest(plan=plan.canonical()), client())).id


async def begins(job: str, *callers: Caller, attempt: int = 0) -> None:
    for caller in callers:
        offer = (await caller.hears("offer")).offer
        assert (offer.job, offer.attempt) == (job, attempt)
        caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, attempt=attempt)))
    for caller in callers:
        await caller.hears("start")


async def goes_through(here: Office, job: str, *callers: Caller, attempt: int = 0) -> None:
    await begins(job, *callers, attempt=attempt)
    for caller in callers:
        reports(caller, job, attempt)
    assert (await here.final(job)).state == "succeeded"


async def test_a_job_whose_bank_is_away_lets_those_of_another_bank_go_ahead(tmp_path: Path) -> None:
    async with office(tmp_path, **SEVERAL) as here:
        grid, north = await here.attend(Party.GRID), await here.attend(NORTH)
        first, second, third = await asked(here, ACME), await asked(here, NORTH), await asked(here, NORTH)
        await goes_through(here, second, grid, north)
        await goes_through(here, third, grid, north)
        assert here.shown(first).state == "queued"
        await goes_through(here, first, grid, await here.attend(ACME))


async def test_an_interrupted_one_does_too_and_goes_on_before_later_ones_of_its_own_bank(tmp_path: Path) -> None:
    async with office(tmp_path, **SEVERAL) as here:
        grid, acme, north = await here.attend(Party.GRID), await here.attend(ACME), await here.attend(NORTH)
        first = await asked(here, ACME)
        await begins(first, grid, acme)
        trains(grid, first)
        later, other = await asked(here, ACME), await asked(here, NORTH)
        acme.say(None)
        await begins(other, grid, north)
        acme = await here.attend(ACME, held=[first])
        assert here.shown(first).state == "waiting"
        for caller in (grid, north):
            reports(caller, other, 0)
        await goes_through(here, first, grid, acme, attempt=1)
        await goes_through(here, later, grid, acme)


async def test_while_one_rests_those_of_the_same_parties_stay_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_PAUSE", 3600.0)
    async with office(tmp_path, **SEVERAL) as here:
        grid, acme, north = await here.attend(Party.GRID), await here.attend(ACME), await here.attend(NORTH)
        first = await asked(here, ACME)
        await begins(first, grid, acme)
        trains(grid, first)
        same = await asked(here, ACME)
        loses_its_line(acme, first)
        await here.until(lambda: here.shown(first).state == "waiting")
        await goes_through(here, await asked(here, NORTH), grid, north)
        assert (here.shown(first).state, here.shown(same).state) == ("waiting", "queued")
        await here.coordinator.cancel(wire.JobRequest(job=first), client())
        await goes_through(here, same, grid, acme)


async def test_what_others_take_is_time_in_which_a_party_may_come(tmp_path: Path) -> None:
    async with office(tmp_path, **SEVERAL, attend_timeout=0.5) as here:
        grid, north = await here.attend(Party.GRID), await here.attend(NORTH)
        first, other = await asked(here, ACME), await asked(here, NORTH)
        await begins(other, grid, north)
        late, next_ = await asked(here, ACME), await asked(here, NORTH)
        for caller in (grid, north):
            reports(caller, other, 0)
        await goes_through(here, next_, grid, north)
        for job in (first, late):  # one after the other: the second one's time begins when the first is over
            gone = await here.final(job)
            assert "the bank acme did not connect to the coordinator within 0 s" in gone.fault.message


async def test_after_a_restart_a_job_of_a_bank_that_is_no_longer_known_has_failed(tmp_path: Path) -> None:
    async with office(tmp_path, **SEVERAL) as here:
        job, other = await asked(here, NORTH), await asked(here, ACME)
    settings = make_settings(tmp_path, resume_days=1)
    board = Board(tmp_path, settings.members)
    Coordinator(settings, board)
    failed = board.get(job).message
    assert (failed.state, failed.fault.kind) == ("failed", "PlanError")
    assert str(NORTH) in failed.fault.message
    assert board.get(other).state is State.QUEUED


async def test_a_job_whose_party_was_refused_for_its_version_says_so_until_it_comes_with_the_right_one(tmp_path: Path) -> None:
    async with office(tmp_path, attend_timeout=0.05) as here:
        await here.attend(Party.BANK)
        old: Any = Caller(PARTY[Party.GRID])
        old.say(party_pb2.FromParty(register=party_pb2.Register(party="grid", protocol=PROTOCOL - 1, software="0.0.9")))
        with pytest.raises(PeerProtocolError, match="another protocol version"):
            await here.coordinator.attend(None, old)
        ended = await here.final(await here.submit())
        assert ended.fault.message.startswith("the grid speaks another protocol version") and "0.0.9" in ended.fault.remedy
        await here.attend(Party.GRID)
        other: Any = Caller(PARTY[Party.GRID])  # beside one that attends
        other.say(party_pb2.FromParty(register=party_pb2.Register(party="grid", protocol=PROTOCOL - 1)))
        with pytest.raises(PeerProtocolError):
            await here.coordinator.attend(None, other)
        assert here.coordinator.attends(Party.GRID) and not here.coordinator._cut
