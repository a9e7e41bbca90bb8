"""Jobs that people of a party have to approve, at that party: held, approved, denied, forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.daemon import approving
from common.daemon import gate as module
from common.daemon.granted import Grants
from common.errors import JobStateError, PolicyError
from common.home.approvals import PIPELINE
from common.home.audit import What
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.wire import party_pb2 as wire
from tests.common.daemon.test_runner import BANK, CLIENT, Desk, plan


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, hold=["train", "score"], approvals=2)


async def offered(desk: Desk, text: str, attempt: int = 0, client: str = CLIENT) -> wire.FromParty:
    message = wire.Offer(job="train-1", plan=text, client=client, attempt=attempt)
    await desk.runner.take(wire.ToParty(offer=message), desk.send)
    return desk.sent.pop()


def said(desk: Desk, who: str, *, yes: bool = True, note: str = "") -> None:
    approving.decide(desk.home, desk.home.approvals.find("train-1"), who, yes=yes, note=note)


def entered(desk: Desk) -> list[str]:
    return [entry.what for entry in desk.home.audit.entries("train-1")]


async def test_a_job_is_accepted_once_two_people_have_approved_it(desk: Desk) -> None:
    assert (await offered(desk, plan())).hold == wire.Hold(job="train-1")
    assert desk.home.jobs.jobs()[-1].state == "held" and desk.runner.held() == ["train-1"]
    assert not desk.runner._jobs and desk.home.unfinished.begun("train-1") is None
    said(desk, "li")
    assert (await offered(desk, plan(), 1)).hold.attempt == 1
    said(desk, "wang")
    assert (await offered(desk, plan(), 2)).accept.attempt == 2
    assert [(one.job, one.state) for one in desk.home.jobs.jobs()] == [("train-1", "accepted")]
    assert desk.home.unfinished.begun("train-1") is not None and not desk.home.approvals.held()
    assert entered(desk) == ["offer", "hold", "approve", "offer", "hold", "approve", "offer", "accept"]


async def test_a_denial_is_told_with_its_note_and_without_the_persons_name(desk: Desk) -> None:
    await offered(desk, plan())
    said(desk, "li", yes=False, note="the columns \x1b[1mare not agreed")
    fault = (await offered(desk, plan(), 1)).refuse.fault
    assert fault.kind == "PolicyError"
    assert fault.message == "a person of the grid has denied this job: the columns \\u001b[1mare not agreed"
    assert desk.home.jobs.jobs()[-1].state == "refused" and desk.runner.held() == []
    assert (What.DENY.value, "refuse") == (entered(desk)[2], entered(desk)[-1])


async def test_an_approval_is_not_of_another_plan_or_client_under_the_jobs_name(desk: Desk) -> None:
    await offered(desk, plan())
    for who in ("li", "wang"):
        said(desk, who)
    assert (await offered(desk, plan(name="other"), 1)).HasField("hold")
    assert (await offered(desk, plan(name="other"), 2, "wattscore://acme/other")).HasField("hold")
    assert (await offered(desk, plan(), 3, "wattscore://acme/other")).HasField("hold")


async def test_what_nobody_approves_in_time_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await offered(desk, plan())
    now = desk.home.approvals._clock() + 8 * 86_400
    monkeypatch.setattr(desk.home.approvals, "_clock", lambda: now)
    fault = (await offered(desk, plan(), 1)).refuse.fault
    assert "nobody of the grid has approved this job within 7 days (hold_days)" in fault.message


async def test_a_job_that_ended_elsewhere_is_held_no_longer(desk: Desk) -> None:
    await offered(desk, plan())
    await desk.runner.take(wire.ToParty(over=wire.Over(job="train-1")), desk.send)
    (found,) = desk.home.jobs.jobs()
    assert desk.runner.held() == [] and (found.state, found.cause) == ("failed", "it ended before it was approved")


@pytest.mark.parametrize(
    ("approved", "met", "left"),
    [(False, False, {}), (True, False, {}), (True, True, {"grid t": "ab"})],
)
async def test_a_job_that_ended_before_the_parties_met_counts_for_no_grant(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, approved: bool, met: bool, left: dict[str, str]
) -> None:
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    await offered(desk, plan())
    if approved:  # here; the other party's people may have to approve it too
        said(desk, "li")
        said(desk, "wang")
        assert (await offered(desk, plan(), 1)).HasField("accept")
        desk.runner.stop("train-1", JobStateError("the job waits for people of the bank"))
    if met:
        desk.home.audit.add(What.PEER, "train-1", number=0, head="")
    assert desk.home.jobs.jobs()[-1].grants == {"grid t": "ab"}
    await desk.runner.take(wire.ToParty(over=wire.Over(job="train-1")), desk.send)
    (found,) = desk.home.jobs.jobs()
    assert found.grants == left and found.state == "failed"


async def test_kinds_that_are_not_held_run_as_before_and_what_is_refused_anyway_bothers_nobody(desk: Desk) -> None:
    promote = PromotePlan.model_validate({"action": "rollback"}).canonical()
    assert (await offered(desk, promote)).accept.job == "train-1"
    assert (await desk.offer(plan("elsewhere"), "train-2")).refuse.fault.kind == "PlanError"
    assert not desk.home.approvals.held()


async def test_scoring_without_the_coordinator_cannot_wait_and_is_refused(desk: Desk) -> None:
    asked: dict[str, Any] = {"model": "train-9", "grid": {"dataset": "t"}, "bank": {"dataset": "b"}}
    text = ScorePlan.model_validate({**asked, "dealt": "ahead", "matching": "ecdh"}).canonical()
    desk.home.stocks.check = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(PolicyError, match="people of the grid approve each job of kind 'score'"):
        await desk.runner.begin("score-1", text, BANK, own=False)


async def test_the_coordinator_is_told_of_what_people_have_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.001)
    await offered(desk, plan())
    said(desk, "li")
    told: list[wire.FromParty] = []

    async def send(message: wire.FromParty) -> None:
        told.append(message)
        raise JobStateError("the stream is over")

    said(desk, "wang")
    with pytest.raises(JobStateError):
        await desk.runner.gate.tell(send)
    assert [message.ready.job for message in told] == ["train-1"]


async def test_a_client_without_the_role_is_refused_by_name(tmp_path: Path) -> None:
    desk = Desk(tmp_path, roles={CLIENT: ["score"]})
    fault = (await desk.offer(plan())).refuse.fault
    assert fault.kind == "PolicyError" and fault.message.startswith(f"{CLIENT} may not train models and deal ahead")
    assert fault.remedy.startswith("The grid gives roles")
    assert (await desk.offer(plan(), "train-2", "wattscore://acme/other")).refuse.fault.kind == "PolicyError"


async def test_what_people_approved_rests_on_the_grants_of_then(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    assert (await offered(desk, plan())).HasField("hold")
    said(desk, "li")
    said(desk, "wang")
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "cd"}))
    fault = (await offered(desk, plan(), 1)).refuse.fault
    assert fault.kind == "PolicyError" and "the grant of grid t is another one than when this job was held" in fault.message
    assert desk.runner.held() == []


async def test_a_job_held_before_grants_were_kept_rests_on_those_of_its_next_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await offered(desk, plan())
    said(desk, "li")
    with desk.home.approvals._open() as book:
        book.execute("delete from pinned")  # as an older release left it
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    assert (await offered(desk, plan(), 1)).HasField("hold") and desk.home.jobs.jobs()[-1].grants == {"grid t": "ab"}
    said(desk, "wang")
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "cd"}))
    assert "another one than when this job was held" in (await offered(desk, plan(), 2)).refuse.fault.message


async def test_approvals_of_a_job_held_before_grants_were_kept_stand(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await offered(desk, plan())
    said(desk, "li")
    said(desk, "wang")
    with desk.home.approvals._open() as book:
        book.execute("delete from pinned")
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    assert (await offered(desk, plan(), 1)).accept.attempt == 1
    assert desk.home.jobs.jobs()[-1].grants == {"grid t": "ab"}


@pytest.mark.parametrize("text", [plan(), ScorePlan(model="train-0", grid={"dataset": "t"}, bank={"dataset": "b"}).canonical()])
async def test_what_a_party_holds_of_its_own_no_coordinator_ends_nor_takes_the_name_of(desk: Desk, text: str) -> None:
    """A pipeline's run waits in the same book, under a name that a coordinator may have heard as a job's."""
    approvals = desk.home.approvals
    approvals.hold("train-1", PIPELINE, "report: train-1.html", "pipeline monthly", "ab", plan())
    (before,) = approvals.held()
    for over in (wire.Over(job="train-1"), wire.Over(job="train-1", succeeded=True)):
        await desk.runner.take(wire.ToParty(over=over), desk.send)
    assert approvals.held() == [before] and not desk.home.jobs.jobs()
    fault = (await offered(desk, text)).refuse.fault
    assert fault.kind == "PeerProtocolError" and "whose name is this party's own" in fault.message
    assert approvals.held() == [before]
