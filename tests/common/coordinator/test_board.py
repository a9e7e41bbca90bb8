"""Records of jobs: what watchers see, what a restart leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common.coordinator.board import Board
from common.coordinator.journal import Journal
from common.coordinator.metrics import jobs as job_metrics
from common.errors import JobNotFound, JobStateError, PeerLost
from common.party import Bank, Party
from common.plan.job_states import Event, State
from common.wire import party_pb2
from common.wire.peer_pb2 import Fault
from tests.banks import several_plan
from tests.common.coordinator.office import CLIENT, PARTY, PLAN
from tests.malloc import asks_glibc, in_use
from tests.patience import patience

KNOWN = {PARTY[Party.GRID]: Party.GRID, PARTY[Party.BANK]: Party.BANK} | {who: Bank(who) for who in several_plan(3).identities}


async def test_a_watcher_sees_the_end_even_of_a_job_that_ends_while_it_is_written_to(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)
    seen = []
    async for message in record.versions():
        seen.append(message.state)
        if len(seen) == 1:  # a slow watcher: meanwhile the job ends
            await board.move(record, Event.FAIL, PeerLost("gone"))
    assert seen == ["queued", "failed"]


async def test_a_watcher_of_a_job_that_is_over_sees_it_once(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)
    await board.move(record, Event.CANCEL)
    assert [message.state async for message in record.versions()] == ["cancelled"]


async def test_quick_changes_are_seen_together(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)
    seen = []
    async for message in record.versions():
        seen.append(message.grid.progress.done)
        if len(seen) == 1:
            for done in range(50):
                await board.progress(record, Party.GRID, party_pb2.Progress(done=done))
            await board.move(record, Event.CANCEL)
    assert seen == [0, 49]


async def test_two_watchers_of_one_job_both_see_its_end_whichever_is_told_first(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)

    async def watch(began: asyncio.Event) -> list[str]:
        seen = []
        async for message in record.versions():
            seen.append(message.state)
            began.set()
        return seen

    watchers = []
    for _ in range(3):
        watchers.append(asyncio.create_task(watch(began := asyncio.Event())))
        await began.wait()
        await board.move(record, Event.OFFER) if len(watchers) == 1 else None
    await board.move(record, Event.CANCEL)
    seen = await asyncio.wait_for(asyncio.gather(*watchers), patience(10))
    assert all(states[-1] == "cancelled" for states in seen)
    assert [message.state async for message in record.versions()] == ["cancelled"], "who comes later still"


@asks_glibc
async def test_a_job_that_is_over_takes_little_more_memory_than_its_message(tmp_path: Path) -> None:
    """Which keeps what it was given before, as each progress of each party, until it goes: 23 KiB where its bytes are 1.3."""
    board, jobs = Board(tmp_path, KNOWN), 40

    async def job() -> int:
        record = await board.add(PLAN, CLIENT)
        for event in (Event.OFFER, Event.ACCEPTED):
            await board.move(record, event)
        for done in range(60):
            for party in Party:
                await board.progress(record, party, party_pb2.Progress(stage="train", done=done, warnings=["of a column"]))
        await board.move(record, Event.DONE)
        return record.message.ByteSize()

    for _ in range(5):
        await job()
    before = in_use()
    size = sum([await job() for _ in range(jobs)])
    assert in_use() - before < 3 * size


async def test_an_event_out_of_place_changes_nothing(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)
    await board.move(record, Event.CANCEL)
    before = record.message.SerializeToString()
    with pytest.raises(JobStateError):
        await board.move(record, Event.FAIL, PeerLost("gone"))
    assert record.message.SerializeToString() == before


async def test_what_a_restart_leaves(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    over, running, offered, queued = [await board.add(PLAN, CLIENT) for _ in range(4)]
    for event in (Event.OFFER, Event.ACCEPTED, Event.DONE):
        await board.move(over, event)
    for event in (Event.OFFER, Event.ACCEPTED):
        await board.move(running, event)
    await board.move(offered, Event.OFFER)
    again = Board(tmp_path, KNOWN)
    assert [record.id for record in again.all()] == [over.id, running.id, offered.id, queued.id]
    assert again.get(over.id).message == over.message
    assert [record.id for record in again.unfinished()] == [running.id, offered.id, queued.id]
    for record in (running, offered):
        found = again.get(record.id)
        assert found.state is State.WAITING and found.message.attempt == 1 and found.plan == PLAN
        assert found.message.disturbed.message == "the coordinator restarted" and not found.message.HasField("fault")
    assert again.get(queued.id).state is State.QUEUED
    assert (
        Board(tmp_path, KNOWN).get(running.id).message == again.get(running.id).message
    )  # waiting already: nothing more happens


async def test_after_a_restart_what_several_banks_had_begun_waits(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    begun, queued = await board.add(several_plan(2), CLIENT), await board.add(several_plan(3), CLIENT)
    await board.move(begun, Event.OFFER)
    await board.move(begun, Event.ACCEPTED)
    third = Bank(several_plan(2).identities[1])
    await board.progress(begun, third, party_pb2.Progress(stage="train", done=3))
    again = Board(tmp_path, KNOWN)
    message = again.get(begun.id).message
    assert again.get(begun.id).state is State.WAITING and "restarted" in message.disturbed.message and message.attempt == 1
    assert not any(bank.HasField("progress") for bank in message.banks)
    assert [record.id for record in again.unfinished()] == [begun.id, queued.id]
    assert [bank.who for bank in again.get(queued.id).message.banks] == [str(who) for who in several_plan(3).identities]


async def test_without_resuming_a_restart_fails_what_was_not_over(tmp_path: Path) -> None:
    waiting = await Board(tmp_path, KNOWN).add(PLAN, CLIENT)
    found = Board(tmp_path, KNOWN, resume=False).get(waiting.id)
    assert found.state is State.FAILED and found.message.fault.message == "the coordinator restarted"
    assert Board(tmp_path, KNOWN).get(waiting.id).message == found.message


async def test_a_plan_that_this_release_does_not_read_is_no_job_to_go_on_with(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)
    record.message.plan = '{"kind": "other"}'
    await board.move(record, Event.OFFER)
    found = Board(tmp_path, KNOWN).get(record.id)
    assert found.state is State.FAILED and found.message.fault.kind == "PlanError"


async def test_what_happened_is_in_the_job_and_no_party_can_fill_it(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    record = await board.add(PLAN, CLIENT)
    for event in (Event.OFFER, Event.ACCEPTED):
        await board.move(record, event)
    for number in range(300):
        await board.progress(record, Party.BANK, party_pb2.Progress(stage=f"{number:>50}"))
    await board.move(record, Event.DONE)
    told = Board(tmp_path, KNOWN).get(record.id).message.events
    assert [event.what for event in told[:3]] == ["submitted", "offered", "started"]
    assert len(told) == 101 and told[-1].what == "succeeded" and max(len(event.stage) for event in told) == 40


async def test_a_training_of_a_plan_that_has_succeeded_is_said_to_repeat(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN)
    first = await board.add(PLAN, CLIENT)
    assert (await board.add(PLAN, CLIENT)).message.repeats == ""
    for event in (Event.OFFER, Event.ACCEPTED, Event.DONE):
        await board.move(first, event)
    assert (await board.add(PLAN, CLIENT)).message.repeats == first.id
    assert (await board.add(PLAN.model_copy(update={"name": "other"}), CLIENT)).message.repeats == ""


async def test_an_unknown_job(tmp_path: Path) -> None:
    with pytest.raises(JobNotFound, match="no job 'x'"):
        Board(tmp_path, KNOWN).get("x")


async def over(board: Board, count: int, name: str = "") -> list[str]:
    """Jobs that are over, oldest first."""
    found = []
    for _ in range(count):
        record = await board.add(PLAN.model_copy(update={"name": name}), CLIENT)
        await board.move(record, Event.CANCEL)
        found.append(record.id)
    return found


def names(board: Board) -> list[str]:
    return [record.id for record in board.all()]


async def test_the_newest_jobs_that_are_over_are_kept_here_and_in_the_journal(tmp_path: Path) -> None:
    board = Board(tmp_path, KNOWN, most=3)
    waiting = await board.add(PLAN, CLIENT)
    jobs = await over(board, 7)
    for kept in (board, Board(tmp_path, KNOWN, most=10)):
        assert names(kept) == [waiting.id, *jobs[-3:]]
    with pytest.raises(JobNotFound):
        board.get(jobs[0])


async def test_large_jobs_leave_sooner_and_the_last_one_stays(tmp_path: Path) -> None:
    small = Board(tmp_path / "a", KNOWN, most_bytes=2000)
    jobs = await over(small, 20)
    kept = names(small)
    assert kept == jobs[-len(kept) :] and 1 <= len(kept) < 10
    assert sum(record.message.ByteSize() for record in small.all()) <= 2000
    tiny = Board(tmp_path / "b", KNOWN, most_bytes=10)
    last = (await over(tiny, 3))[-1]
    assert names(tiny) == [last]


async def test_a_restart_with_less_room_keeps_the_newest(tmp_path: Path) -> None:
    jobs = await over(Board(tmp_path, KNOWN), 5)
    assert names(Board(tmp_path, KNOWN, most=2)) == jobs[-2:]


async def test_counts_of_jobs_that_are_over_never_fall_though_jobs_are_forgotten(tmp_path: Path) -> None:
    """Prometheus takes a counter that falls for one that begins anew: of 12 failed jobs and 11 then it sees 11 more."""
    board = Board(tmp_path, KNOWN, most=3)
    for k in range(12):
        if k == 7:
            board = Board(tmp_path, KNOWN, most=2)  # a restart, with less room
        record = await board.add(PLAN, CLIENT)
        failing = k < 4
        await board.move(record, Event.FAIL if failing else Event.CANCEL, JobStateError("no") if failing else None)
        counts = {(m.labels["kind"], m.labels["state"]): m.value for m in next(iter(job_metrics(board))).samples}
        failed, cancelled = counts[PLAN.kind, "failed"], counts[PLAN.kind, "cancelled"]
        assert failed == min(k + 1, 4) and failed + cancelled == k + 1
        assert (errors := list(job_metrics(board))[1].samples) and errors[0].value == failed
    assert len(names(board)) == 2


async def test_kinds_of_errors_that_a_party_makes_up_are_counted_as_one(tmp_path: Path) -> None:
    """Each would else be a series of its own at who watches, for ever."""
    board = Board(tmp_path, KNOWN, most=2)
    for k in range(6):
        await board.move(await board.add(PLAN, CLIENT), Event.FAIL, Fault(kind=f"Kind{k}", origin="bank"))
    errors = {m.labels["error"]: m.value for m in list(job_metrics(board))[1].samples}
    assert {kind: count for kind, count in errors.items() if count} == {"PeerFailed": 6}


async def test_a_job_that_the_disk_refuses_is_none_and_its_request_makes_one_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, write, refusals = Board(tmp_path, KNOWN), Journal.write, [OSError(28, "no space")]

    def refusing(self: Journal, job: str, data: bytes) -> None:
        if refusals:
            raise refusals.pop()
        write(self, job, data)

    monkeypatch.setattr(Journal, "write", refusing)
    with pytest.raises(OSError, match="no space"):
        await board.add(PLAN, CLIENT, "4711")
    assert board.all() == [] and board.submitted(CLIENT, "4711", PLAN) is None
    made = await board.add(PLAN, CLIENT, "4711")
    assert board.submitted(CLIENT, "4711", PLAN) is made and names(Board(tmp_path, KNOWN)) == [made.id]


async def test_plans_of_jobs_that_were_over_long_ago_are_read_again_from_their_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.coordinator.board._PLANS", 2)
    board = Board(tmp_path, KNOWN)
    records = [await board.add(PLAN, CLIENT) for _ in range(4)]
    for record in records[:3]:
        await board.move(record, Event.CANCEL)
    assert [record.plan for record in records] == [None, PLAN, PLAN, PLAN]
    assert [board.plan_of(record.id, lambda _: True) for record in records] == [PLAN] * 4
