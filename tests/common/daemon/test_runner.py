"""A party's answers to the coordinator, without a network: what it refuses, and that nothing ends it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from common.daemon import runner as module
from common.daemon.granted import Grants
from common.daemon.runner import Runner
from common.errors import JobStateError, PeerLost, PeerProtocolError, PlanError, PolicyError
from common.party import Identity
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.stages.offer import check_offer
from common.wire import party_pb2 as wire
from common.wire.peer import pins_of
from grid_party.home import GridHome
from grid_party.listen import Door
from grid_party.role import GridRole
from grid_party.settings import GridSettings

CLIENT = "wattscore://acme/analyst"
BANK = Identity("acme", "bank-party")


class Desk:
    """The grid's runner, and what it has sent."""

    def __init__(self, folder: Path, console: dict[str, Any] | None = None, **policy: Any) -> None:
        pd.DataFrame({"id": ["a"], "x": [1.0]}).to_csv(folder / "t.csv", index=False)
        tls = {"certificate": folder / "x.pem", "key": folder / "x.key", "trust": folder}
        self.settings = settings = GridSettings.model_validate(
            {
                "tls": tls,
                "data": folder / "data",
                "listen": "127.0.0.1:0",
                "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
                "peer": {"identity": str(BANK)},
                "datasets": {"t": {"path": folder / "t.csv", "id": "id"}},
                "policy": policy,
                "console": console,
            }
        )
        self.door, self.sent = Door(BANK), list[wire.FromParty]()
        nobody: Any = None
        self.home = home = GridHome.of(settings)
        self.runner = Runner(GridRole(home), settings, home, self.door, nobody)

    async def send(self, message: wire.FromParty) -> None:
        self.sent.append(message)

    async def offer(self, plan: str, job: str = "train-1", client: str = CLIENT) -> wire.FromParty:
        await self.runner.take(wire.ToParty(offer=wire.Offer(job=job, plan=plan, client=client)), self.send)
        return self.sent.pop()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def plan(dataset: str = "t", **fields: Any) -> str:
    return TrainPlan.model_validate({"grid": {"dataset": dataset}, "bank": {"dataset": "b"}, **fields}).canonical()


async def test_a_good_offer_is_accepted_and_the_bank_expected(desk: Desk) -> None:
    assert (await desk.offer(plan())).accept.job == "train-1"
    assert "train-1" in desk.door._arrived
    stop = wire.ToParty(stop=wire.Stop(job="train-1"))
    await desk.runner.take(stop, desk.send)
    assert not desk.door._arrived and not desk.sent
    await desk.runner.take(stop, desk.send)  # of a job that is not here: nothing


async def test_a_dataset_added_to_the_configuration_can_be_asked_for_once_it_is_read_anew(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    before = desk.settings
    assert (await desk.offer(plan("new"))).refuse.fault.kind == "PlanError"
    stricter = before.policy.model_copy(update={"min_rows": 9000})
    more = before.datasets | {"new": before.datasets["t"]}
    loose = before.monitor.model_copy(update={"psi": 0.5})
    with caplog.at_level("INFO"):
        desk.runner.adopt(before.model_copy(update={"datasets": more, "policy": stricter, "monitor": loose}))
    assert "the configuration was read anew; datasets: t, new" in caplog.text
    assert "has a new policy, which takes a restart" in caplog.text
    assert (await desk.offer(plan("new"), "train-2")).accept.job == "train-2"  # the policy is as it was
    assert desk.home.monitor.psi == 0.5


async def test_a_job_that_was_accepted_keeps_its_dataset(desk: Desk) -> None:
    await desk.offer(plan())
    desk.runner.adopt(desk.settings.model_copy(update={"datasets": {}}))
    kept = desk.runner._jobs["train-1"].dataset
    assert kept is not None and kept.id == "id"
    assert (await desk.offer(plan(), "train-2")).refuse.fault.message == "the grid has no dataset 't'"


async def test_what_was_offered_is_in_the_partys_own_book(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await desk.offer(plan(name="overdue"))
        await desk.offer(plan("elsewhere"), "train-2")
        await desk.offer("{", "train-3")
    accepted, refused, broken = desk.home.jobs.jobs()
    assert (accepted.state, accepted.name, accepted.client, accepted.dataset) == ("accepted", "overdue", CLIENT, "t")
    assert (refused.state, refused.dataset, refused.cause) == ("refused", "elsewhere", "the grid has no dataset 'elsewhere'")
    assert (broken.state, broken.kind, broken.client) == ("refused", "", "") and broken.cause
    assert f"job train-1 accepted: train 'overdue' asked for by {CLIENT}, on dataset t" in caplog.text


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (plan("elsewhere"), "PlanError", "the grid has no dataset 'elsewhere'"),
        (plan(limits={"min_rows": 5}), "PolicyError", "min_rows = 5 (at least 1000)"),
        (plan(keys=["id", "period"]), "PlanError", "dataset 't' of the grid has no period"),
        ("{", "PlanError", "job train-1: not valid JSON"),
        (plan()[:-1] + ',"more":1}', "PlanError", "unknown key 'more'"),
    ],
)
async def test_a_bad_offer_is_refused(desk: Desk, text: str, kind: str, says: str) -> None:
    fault = (await desk.offer(text)).refuse.fault
    assert (fault.kind, fault.origin) == (kind, "grid") and says in fault.message
    assert not desk.door._arrived


async def test_a_surprise_while_looking_at_an_offer_is_a_refusal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this user may not enter, for one. The daemon must live, and not say which."""
    good = check_offer

    def bad(error: Exception) -> Any:
        def raises(*_: Any, **__: Any) -> None:
            raise error

        return raises

    monkeypatch.setattr(module, "check_offer", bad(PermissionError(13, "Permission denied", "/secret/place")))
    fault = (await desk.offer(plan())).refuse.fault
    assert (fault.kind, fault.message) == ("DataError", "a file of its own: it is not permitted")
    monkeypatch.setattr(module, "check_offer", bad(KeyError("a secret")))
    fault = (await desk.offer(plan())).refuse.fault
    assert (fault.kind, fault.message) == ("InternalError", "an unexpected KeyError at the grid")
    monkeypatch.setattr(module, "check_offer", good)
    assert (await desk.offer(plan(), "train-2")).accept.job == "train-2"


@pytest.mark.parametrize("job", ["train-1", ""])
async def test_only_an_accepted_job_starts(desk: Desk, job: str) -> None:
    with pytest.raises(JobStateError, match="cannot start: it was not accepted"):
        await desk.runner.take(wire.ToParty(start=wire.Start(job=job)), desk.send)


async def test_accepted_jobs_are_forgotten_when_the_coordinator_is_lost(desk: Desk) -> None:
    await desk.offer(plan())
    await desk.runner.stop_all(PeerLost("the grid lost the coordinator"))
    assert not desk.door._arrived and not desk.runner._jobs


async def test_a_surprise_while_running_is_reported_without_its_words(desk: Desk) -> None:
    class Broken:
        def stream(self, _: Any) -> Any:
            raise ZeroDivisionError("a value of a row")

    desk.runner._attempts._coordinator = Broken()  # type: ignore[assignment]
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(start=wire.Start(job="train-1")), desk.send)
    task = desk.runner._jobs["train-1"].task
    assert task is not None
    await task
    fault = desk.sent[-1].failed.fault
    assert (fault.kind, fault.message) == ("InternalError", "an unexpected ZeroDivisionError at the grid")
    assert not desk.runner._jobs and not desk.door._arrived


async def test_an_offer_of_nobodys_is_refused(desk: Desk) -> None:
    for client in ("", "analyst"):
        fault = (await desk.offer(plan(), client=client)).refuse.fault
        assert fault.kind == "PeerProtocolError" and "does not say whose job" in fault.message


async def test_accepted_jobs_are_counted_for_their_client_and_refused_ones_are_not(desk: Desk) -> None:
    for k in range(20):
        assert (await desk.offer(plan("elsewhere"), f"bad-{k}")).refuse.fault.kind == "PlanError"
        assert (await desk.offer(plan(), f"train-{k}")).accept.job == f"train-{k}"
    fault = (await desk.offer(plan(), "train-20")).refuse.fault
    assert fault.kind == "PolicyError" and "at most 20 (jobs_per_day), of which 0 are left" in fault.message
    assert f"`grid-party allow {CLIENT} --jobs N`" in fault.remedy
    assert (await desk.offer(plan(), "train-21", "wattscore://acme/other")).accept.job == "train-21"


def scoring(**fields: Any) -> str:
    sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "b"}}
    return ScorePlan.model_validate({"model": "m", "dealt": "ahead", "matching": "ecdh", **sides, **fields}).canonical()


async def test_the_bank_may_ask_directly_for_scores_from_a_stock_and_for_nothing_else(desk: Desk) -> None:
    other = Identity("north", "bank-party")
    with pytest.raises(PolicyError, match="of another bank than the one that asks"):
        await desk.runner.begin("score-1", scoring(), other, own=False)
    for text, kind, says in (
        (plan(), PlanError, "Submit it through the coordinator"),
        (scoring(matching="neutral"), PlanError, "Submit it through the coordinator"),
        (scoring(), PolicyError, "no unspent stock"),
        (scoring(with_bank=str(BANK)), PolicyError, "no unspent stock"),
        (scoring(with_bank="wattscore://north/bank-party"), PolicyError, "of another bank than the one that asks"),
        ("{", PlanError, "not valid JSON"),
    ):
        with pytest.raises(kind, match=says):
            await desk.runner.begin("score-1", text, BANK, own=False)
        assert not desk.door._arrived
    with pytest.raises(PeerProtocolError, match="the other party offered a job under a name that is none"):
        await desk.runner.begin("../x", scoring(), BANK, own=False)
    found = desk.home.jobs.jobs()
    assert ("refused", str(other)) in {(one.state, one.client) for one in found}
    assert [(one.state, one.client) for one in found if one.client == str(BANK)][:3] == [("refused", str(BANK))] * 3
    assert not desk.sent  # the coordinator hears nothing of it


async def test_a_lost_coordinator_ends_what_it_offered_and_not_what_the_bank_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.home.stocks, "check", lambda plan, party: None)
    task, answers = await desk.runner.begin("score-1", scoring(), BANK, own=False)
    await desk.offer(plan())
    await desk.runner.stop_all(PeerLost("the grid lost the coordinator"), offered=True)
    assert list(desk.runner._jobs) == ["score-1"] and not task.done()
    await desk.runner.stop_all(PeerLost("the grid is shutting down"))
    await task
    with pytest.raises(PeerLost, match="the grid is shutting down"):
        answers.check()


async def again(desk: Desk, attempt: int = 1, *, begun: bool = True, **more: Any) -> wire.FromParty:
    """The answer to `train-1` when it is offered once more."""
    offer = {"job": "train-1", "plan": plan(), "client": CLIENT, **more}
    await desk.runner.take(wire.ToParty(offer=wire.Offer(attempt=attempt, begun=begun, **offer)), desk.send)
    return desk.sent.pop()


async def test_an_interrupted_job_is_accepted_again_counted_once_and_known_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    assert desk.runner.held() == ["train-1"]
    answer = await again(desk)
    assert (answer.accept.job, answer.accept.attempt) == ("train-1", 1)
    assert desk.door._attempts == {"train-1": 1}
    after = Desk(tmp_path)  # the same folder, another process
    assert after.runner.held() == ["train-1"] and (await again(after, 2)).accept.attempt == 2
    assert [one.state for one in after.home.jobs.jobs()] == ["accepted"]
    (usage,) = after.home.rates.usage()
    assert usage.jobs == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"plan": plan(name="other")}, "offered job train-1 again, not as it was"),
        ({"client": "wattscore://acme/other"}, "offered job train-1 again, not as it was"),
        ({"attempt": 0}, "offered job train-1 again, not as it was"),
    ],
)
async def test_what_is_offered_again_is_the_same_job(desk: Desk, more: dict[str, Any], says: str) -> None:
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    fault = (await again(desk, **more)).refuse.fault
    assert fault.kind == "PeerProtocolError" and says in fault.message
    assert desk.runner.held() == ["train-1"]  # until the coordinator says that it is over


@pytest.mark.parametrize("later", [{"grid t": "cd"}, {}, {"grid t": "ab", "bank b": "cd"}])
async def test_a_job_keeps_the_grants_that_it_has_begun_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, later: dict[str, str]
) -> None:
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    assert pins_of((await desk.offer(plan())).accept.grants) == {"grid t": "ab"}
    assert desk.home.jobs.jobs()[-1].grants == {"grid t": "ab"}
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    monkeypatch.setattr(Grants, "check", lambda *_: (None, later))
    fault = (await again(desk)).refuse.fault
    assert fault.kind == "PolicyError" and "is another one than when this job was begun" in fault.message
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    assert (await again(desk, 2)).accept.attempt == 2


async def test_a_job_begun_before_grants_were_kept_goes_on_under_those_of_its_next_attempt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await desk.offer(plan())
    (file,) = (tmp_path / "data").rglob("job.json")
    begun = json.loads(file.read_bytes())
    assert begun.pop("grants") == {}
    file.write_text(json.dumps(begun))  # as an older release wrote it
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {"grid t": "ab"}))
    for attempt in (1, 2):
        await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
        assert (await again(desk, attempt)).accept.attempt == attempt
    assert desk.home.jobs.jobs()[-1].grants == {"grid t": "ab"}
    assert json.loads(file.read_bytes()) == {**begun, "grants": {"grid t": "ab"}}
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    monkeypatch.setattr(Grants, "check", lambda *_: (None, {}))
    assert "another one than when this job was begun" in (await again(desk, 3)).refuse.fault.message


async def test_a_party_that_lost_what_it_kept_says_so(desk: Desk) -> None:
    fault = (await again(desk)).refuse.fault
    assert (fault.kind, fault.message) == ("DataError", "what the grid kept of job train-1 is lost")
    assert (await again(desk, begun=False)).accept.attempt == 1  # it was never reached before


async def test_a_job_that_has_waited_too_long_is_refused(desk: Desk) -> None:
    await desk.offer(plan())
    await desk.runner.take(wire.ToParty(stop=wire.Stop(job="train-1", waits=True)), desk.send)
    days = desk.home.policy.resume_days
    desk.home.unfinished._clock = lambda: time.time() + (days + 1) * 86_400
    fault = (await again(desk)).refuse.fault
    assert fault.kind == "PolicyError" and f"at most {days:g} days (resume_days)" in fault.message
