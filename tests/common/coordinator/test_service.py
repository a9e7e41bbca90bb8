"""The coordinator's handlers, with parties and clients played by the test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.coordinator import cause as causes
from common.coordinator.journal import Journal
from common.disk.book import open_book
from common.errors import IdentityError, JobNotFound, JobStateError, PeerLost, PeerProtocolError, PlanError, PolicyError
from common.party import Identity, Party
from common.plan.linear import Model
from common.plan.several import MOST_BANKS
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2
from common.wire.peer import PROTOCOL, pinned, pins_of
from common.wire.peer_pb2 import Fault
from tests.common.coordinator.office import CLIENT, PARTY, PLAN, Caller, client, join, office
from tests.patience import patience


async def test_a_job_waits_for_both_parties_and_names_who_did_not_come(tmp_path: Path) -> None:
    async with office(tmp_path, attend_timeout=0.05) as here:
        both = await here.final(await here.submit())
        assert both.fault.message == "the grid and the bank did not connect to the coordinator within 0 s"
        await here.attend(Party.GRID)
        one = await here.final(await here.submit())
        assert one.fault.message == "the bank did not connect to the coordinator within 0 s"
        assert "submit again" in one.fault.remedy and one.fault.origin == "coordinator"


async def test_both_must_accept_before_either_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a job that is over gives its memory back."""
    given = list[str]()
    monkeypatch.setattr("common.coordinator.service.give_memory_back", lambda: given.append("all"))
    async with office(tmp_path) as here:
        grid, bank = await here.attend(Party.GRID), await here.attend(Party.BANK)
        job = await here.submit()
        assert (await grid.hears("offer")).offer.plan == here.shown(job).plan
        grid.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job)))
        await bank.hears("offer")
        fault = Fault(kind="PolicyError", message="not with us", origin="bank")
        bank.say(party_pb2.FromParty(refuse=party_pb2.Refuse(job=job, fault=fault)))
        ended = await here.final(job)
        assert (ended.state, ended.fault) == ("failed", fault)
        assert (await grid.hears("stop")).stop.fault == fault
        assert not [message for message in grid.heard if message.WhichOneof("message") == "start"]
    await asyncio.get_running_loop().shutdown_default_executor()  # which has done by then what it was given
    assert given == ["all"]


async def test_the_grants_with_which_a_party_first_accepts_are_in_the_jobs_record(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        grid, _ = await here.attend(Party.GRID), await here.attend(Party.BANK)
        job = await here.submit()
        await grid.hears("offer")
        grants = {f"{side} ({bank})": "ab" * 40 for side in ("bank a", "grid a") for bank in range(MOST_BANKS)}
        more = {f"x{k:03}": "c" * 999 for k in range(50)}  # a party must not fill the journal
        grid.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job, grants=pinned(grants | more))))
        await here.until(lambda: here.shown(job).grid.accepted)
        kept = pins_of(here.shown(job).grid.grants)
        assert kept == {name: pin[:64] for name, pin in grants.items()}
        record = here.board.get(job)
        here.board.accepted(record, Party.GRID, pinned({"grid a": "cd" * 32}))
        assert pins_of(here.shown(job).grid.grants) == kept and not here.shown(job).bank.grants


async def test_a_job_is_cancelled_before_and_after_its_turn(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        queued = await here.submit()  # nobody attends yet
        assert (await here.coordinator.cancel(wire.JobRequest(job=queued), client())).state == "cancelled"
        running, grid, bank = await here.running()
        assert (await here.coordinator.cancel(wire.JobRequest(job=running), client())).state == "cancelled"
        for caller in (grid, bank):
            assert (await caller.hears("stop")).stop.fault.message == f"cancelled by {CLIENT}"
        with pytest.raises(JobStateError):
            await here.coordinator.cancel(wire.JobRequest(job=running), client())


async def test_the_coordinator_survives_a_cancel_at_the_moment_it_gives_up_waiting(tmp_path: Path) -> None:
    async with office(tmp_path, attend_timeout=0.05) as here:
        for _ in range(4):
            job = await here.submit()
            await asyncio.sleep(0.049)
            try:
                await here.coordinator.cancel(wire.JobRequest(job=job), client())
            except JobStateError:  # it had just failed
                assert here.shown(job).state == "failed"
        assert len(here.board.all()) == 4


async def test_a_party_that_leaves_ends_the_job_and_its_own_words_count(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        bank.say(
            party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=Fault(kind="PeerLost", message="the grid is away")))
        )
        grid.say(None)
        ended = await here.final(job)
        assert ended.fault.message == "the grid lost its connection to the coordinator"
        assert ended.fault.origin == "grid"
        assert (await bank.hears("stop")).stop.job == job


async def test_a_party_that_comes_back_before_it_was_missed_ends_its_job(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, grid, _ = await here.running()
        again = await here.attend(Party.GRID)
        assert (await here.final(job)).fault.message == "the grid lost its connection to the coordinator"
        await here.until(here.ended[grid].done)  # the old connection takes nothing with it
        await here.submit()
        await again.hears("offer")


async def test_a_party_sent_away_by_another_process_is_told_and_may_come_back(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first, _ = await here.attend(Party.GRID), await here.attend(Party.BANK)
        second = await here.attend(Party.GRID)
        await here.until(here.ended[first].done)
        with pytest.raises(IdentityError, match="another process attends as the grid with this certificate"):
            here.ended[first].result()
        second.say(None)
        await here.until(here.ended[second].done)
        back = await here.attend(Party.GRID)
        await here.submit()
        await back.hears("offer")


@pytest.mark.parametrize("kind", ["DataError", "PeerStopped"])
async def test_first_hand_causes_win_over_their_consequences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whoever ends closes its streams too, and the other may be the first to say what it saw of that."""
    monkeypatch.setattr(causes, "BETTER", patience(5))
    async with office(tmp_path, resume_days=0) as here:
        job, grid, bank = await here.running()
        seen = Fault(kind="PeerLost", message="the bank closed the connection", origin="grid")
        grid.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=seen)))
        await asyncio.sleep(0.02)
        cause = Fault(kind=kind, message="column 'x': not a number", origin="bank")
        bank.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=cause)))
        assert (await here.final(job)).fault == cause


async def test_why_a_party_is_refused_counts_and_not_what_it_saw_of_it(tmp_path: Path) -> None:
    """One of its streams is cut before the other, on which it says that the coordinator has left."""
    async with office(tmp_path) as here:
        job, _, bank = await here.running()
        bank.cause = IdentityError("the certificate is revoked")
        seen = Fault(kind="PeerLost", message="the coordinator has ended the stream", origin="bank")
        bank.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=seen)))
        fault = (await here.final(job)).fault
        assert (fault.kind, fault.message, fault.origin) == ("IdentityError", "the certificate is revoked", "coordinator")


async def test_what_the_dealer_sees_of_a_failure_is_not_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A party that fails ends its dealer stream first, while the other asks for more; its words come a moment later."""
    monkeypatch.setattr(causes, "BETTER", patience(5))
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        deals = {caller: Caller(caller.identity) for caller in (grid, bank)}
        for deal in deals.values():
            deal.say(join(job))
            here.ended[deal] = asyncio.create_task(here.coordinator.deal(None, deal))  # type: ignore[arg-type]
        await here.until(lambda: all(deal.heard for deal in deals.values()))
        deals[grid].say(None)
        deals[bank].say(party_pb2.Demand(training=party_pb2.Training(rows=1050, grid_columns=12, bank_columns=4)))
        await asyncio.sleep(0.02)
        cause = Fault(kind="PolicyError", message="the rows have been scored already", origin="grid")
        grid.say(party_pb2.FromParty(failed=party_pb2.Failed(job=job, fault=cause)))
        assert (await here.final(job)).fault == cause
    monkeypatch.setattr(causes, "BETTER", 0.05)
    async with office(tmp_path / "mute") as here:  # and where nobody has anything to say, it is what there is
        job, grid, bank = await here.running()
        for caller, words in ((grid, 1), (bank, 2)):
            deal = Caller(caller.identity)
            deal.say(join(job))
            deal.say(party_pb2.Demand(periods=party_pb2.PeriodProduct(words=words)))
            here.ended[deal] = asyncio.create_task(here.coordinator.deal(None, deal))  # type: ignore[arg-type]
        ended = await here.final(job)
        assert "the parties ask the dealer for different things" in ended.fault.message


async def test_a_job_that_is_done_stays_done(tmp_path: Path) -> None:
    """A party's stream breaks at the moment at which the job ends."""
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        drive = here.coordinator._drive
        assert drive is not None
        deals: list[Caller] = []
        for caller in (grid, bank):
            deal = Caller(caller.identity)
            deal.say(join(job))
            here.ended[deal] = asyncio.create_task(here.coordinator.deal(None, deal))  # type: ignore[arg-type]
            deals.append(deal)
        await here.until(lambda: all(deal.heard for deal in deals))  # both have their seeds
        for deal in deals:
            deal.say(None)
        here.board.get(job)._changed = held = asyncio.Condition()
        await held.acquire()  # somebody is being told of the job: `move` waits
        for caller in (grid, bank):
            caller.say(party_pb2.FromParty(done=party_pb2.Done(job=job)))
        await here.until(lambda: here.shown(job).state == "succeeded")
        drive.fail(Fault(kind="PeerLost", message="too late", origin="grid"))
        await asyncio.sleep(0.01)
        held.release()
        await here.until(lambda: here.coordinator._drive is None)
        assert here.shown(job).state == "succeeded" and not here.shown(job).HasField("fault")


async def test_stopping_fails_the_running_job_and_lets_the_parties_go(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, grid, bank = await here.running()
        waiting = await here.submit()
        await here.coordinator.stop("the coordinator is shutting down")
        assert here.shown(job).fault.message == "the coordinator is shutting down"
        assert here.shown(waiting).state == "queued"
        for caller in (grid, bank):
            await asyncio.wait_for(here.ended[caller], patience(5))
            assert (await caller.hears("stop")).stop.fault.message == "the coordinator is shutting down"


async def test_who_may_call_what(tmp_path: Path) -> None:
    stranger = Identity("acme", "auditor")
    async with office(tmp_path) as here:
        calls: tuple[tuple[Any, Any], ...] = (
            (here.coordinator.submit, wire.SubmitRequest()),
            (here.coordinator.show, wire.JobRequest()),
            (here.coordinator.list, wire.ListRequest()),
            (here.coordinator.cancel, wire.JobRequest()),
            (here.coordinator.watch, wire.JobRequest()),
        )
        for handler, request in calls:
            with pytest.raises(PolicyError, match="wattscore://acme/auditor may not use this coordinator"):
                await handler(request, client(stranger))
        for stream in (here.coordinator.attend, here.coordinator.deal):
            caller = client(stranger)
            caller.say(party_pb2.FromParty())
            with pytest.raises(IdentityError, match="is not a party here"):
                await stream(None, caller)


async def test_a_dealer_stream_for_no_job(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        caller = client(PARTY[Party.GRID])
        caller.say(party_pb2.Demand(consumed=party_pb2.Consumed()))
        with pytest.raises(PeerProtocolError, match="did not begin by joining"):
            await here.coordinator.deal(None, caller)
        caller.say(join("train-1"))
        with pytest.raises(JobStateError, match="job train-1 is not running"):
            await here.coordinator.deal(None, caller)


async def test_a_job_that_nobody_deals_for_ends_well_and_who_asks_to_be_dealt_is_refused(tmp_path: Path) -> None:
    model = Model(dealer="none", link="taylor", reveal="owners")
    async with office(tmp_path) as here:
        job, grid, bank = await here.running(model=model, matching="ecdh")
        caller = client(PARTY[Party.GRID])
        caller.say(join(job))
        with pytest.raises(PlanError, match="nobody deal"):
            await here.coordinator.deal(None, caller)
        for party in (grid, bank):
            party.say(party_pb2.FromParty(done=party_pb2.Done(job=job)))
        done = await here.final(job)
        assert done.state == "succeeded" and not caller.heard
        assert not any((done.dealer.grid.sent, done.dealer.bank.sent, done.dealer.grid.received, done.dealer.bank.received))


async def test_a_broken_attending_stream_is_no_end_of_the_coordinator(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, grid, _ = await here.running()
        grid.say(PeerLost("the connection from the grid broke"))
        with pytest.raises(PeerLost):
            await asyncio.wait_for(here.ended.pop(grid), patience(5))
        assert (await here.final(job)).fault.origin == "grid"


async def test_a_party_whose_stream_breaks_as_it_comes_does_not_attend(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        caller: Any = Caller(PARTY[Party.GRID])

        async def write(message: Any) -> None:
            if message.WhichOneof("message") == "over":
                raise PeerLost("the connection from the grid broke")

        caller.write = write
        register = party_pb2.Register(party="grid", protocol=PROTOCOL, held=["train-gone"])
        caller.say(party_pb2.FromParty(register=register))
        with pytest.raises(PeerLost):
            await here.coordinator.attend(None, caller)
        assert not here.coordinator.attends(Party.GRID)


async def test_jobs_are_listed_in_short_by_pages_that_a_message_holds(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = here.board.get(await here.submit())
        record.message.bank.report.warnings.extend(["w" * 200] * 10)
        (short,) = (await here.coordinator.list(wire.ListRequest(), client())).jobs
        assert (short.id, short.state, short.submitter) == (record.id, "queued", str(CLIENT))
        assert short.ByteSize() < 300 < record.message.ByteSize()
        found = record.message.bank.report
        found.evaluation.joint.auc, found.evaluation.bank_only.auc, found.counts.matched_rows = 0.75, 0.65, 7000
        found.evaluation.auc_difference.difference = 0.1
        (short,) = (await here.coordinator.list(wire.ListRequest(), client())).jobs
        assert (short.bank.report.evaluation, short.bank.report.counts) == (found.evaluation, found.counts)
        assert short.ByteSize() < 300


async def test_each_of_many_jobs_is_on_one_page(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "jobs.sqlite")
    text = "a reason of failure, " * 20
    with open_book(tmp_path / "jobs.sqlite") as book:
        made = [
            wire.Job(id=f"train-{k:08x}", state="failed" if k % 2 else "succeeded", submitted=k, fault=Fault(message=text))
            for k in range(5000)
        ]
        book.executemany("insert into jobs (id, job) values (?, ?)", [(job.id, job.SerializeToString()) for job in made])
    assert sum(1 for _ in journal.read()) == 5000
    async with office(tmp_path) as here:

        async def pages(**asked: Any) -> list[list[int]]:
            found: list[list[int]] = []
            reply = wire.ListReply(more=True)
            while reply.more:
                before = reply.jobs[0].id if reply.jobs else ""
                reply = await here.coordinator.list(wire.ListRequest(**asked, before=before), client())
                assert reply.ByteSize() < 2 << 20
                found.append([int(job.submitted) for job in reply.jobs])
            return found[::-1]

        every = await pages()
        assert len(every) > 2 and [k for page in every for k in page] == list(range(5000))
        assert (await here.coordinator.list(wire.ListRequest(last=3), client())).more
        assert (await pages(last=3))[-1] == [4997, 4998, 4999]
        assert [k for page in await pages(state="failed", since=4990) for k in page] == [4991, 4993, 4995, 4997, 4999]
        with pytest.raises(JobNotFound):
            await here.coordinator.list(wire.ListRequest(before="train-none"), client())


async def test_a_client_has_so_many_jobs_waiting_and_another_one_is_not_held_up(tmp_path: Path) -> None:
    other = Identity("volt", "client")
    async with office(tmp_path, queued_jobs=2, clients=[str(CLIENT), str(other)]) as here:
        first = await here.submit()  # has its turn: it waits for the parties
        jobs = [await here.submit(), await here.submit()]
        with pytest.raises(PolicyError, match=f"2 jobs of {CLIENT} wait already"):
            await here.submit()
        await here.coordinator.submit(wire.SubmitRequest(plan=PLAN.canonical()), client(other))
        await here.coordinator.cancel(wire.JobRequest(job=jobs[0]), client())
        await here.submit()
        assert here.shown(first).state == "queued"


async def test_a_submission_that_is_repeated_is_one_job_also_after_a_restart(tmp_path: Path) -> None:
    other = Identity("volt", "client")
    asked = wire.SubmitRequest(plan=PLAN.canonical(), submission="4711")
    changed = wire.SubmitRequest(plan=PLAN.model_copy(update={"name": "x"}).canonical(), submission="4711")
    async with office(tmp_path, queued_jobs=1, clients=[str(CLIENT), str(other)]) as here:
        first = await here.coordinator.submit(asked, client())
        await here.submit()  # as many as may wait: an answer that was lost is told all the same
        assert (await here.coordinator.submit(asked, client())).id == first.id
        assert (await here.coordinator.submit(asked, client(other))).id != first.id
        with pytest.raises(JobStateError, match="this submission was of another plan"):
            await here.coordinator.submit(changed, client())
        with pytest.raises(PlanError, match="a submission's id is"):
            await here.coordinator.submit(wire.SubmitRequest(plan=PLAN.canonical(), submission="a b"), client())
        await here.coordinator.cancel(wire.JobRequest(job=first.id), client())
        assert len(here.board.all()) == 3
    async with office(tmp_path, clients=[str(CLIENT)]) as here:
        again = await here.coordinator.submit(asked, client())
        assert (again.id, again.state) == (first.id, "cancelled") and len(here.board.all()) == 3


async def test_a_plan_of_more_than_64_kib_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        with pytest.raises(PlanError, match=r"too long \(expected at most 65536 bytes"):
            await here.submit(grid=PLAN.grid.model_copy(update={"columns": tuple(f"column{i}" for i in range(6000))}))
        with pytest.raises(PlanError, match="too long"):
            await here.coordinator.submit(wire.SubmitRequest(plan="企" * 30_000), client())
        assert here.board.all() == []


async def test_a_party_that_reports_too_much_ends_its_job_and_is_named(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        job, grid, _ = await here.running()
        grid.say(party_pb2.FromParty(done=party_pb2.Done(job=job, report=party_pb2.Report(warnings=["x" * (1 << 20)]))))
        ended = await here.final(job)
        assert "the grid" in ended.fault.message and ended.state == "failed"
        assert ended.ByteSize() < 5000
