"""Jobs that people approve, and clients with roles, through the three daemons and the parties' own commands."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import grid_party.__main__
from common.client.client import Client
from common.daemon import approving
from common.errors import PolicyError
from common.party import Identity
from common.plan.promote import PromotePlan
from common.process.settings import ClientSettings
from common.trial.processes import BANK, CLIENT, COORDINATOR
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, finish, make_plan, make_tables, own, succeed, wait

AUDITOR = Identity(BANK.org, "auditor")


def held(client: Client, job: str) -> wire.Job:
    return wait(client, job, lambda found: found.state == "held", 30.0)


def test_a_training_waits_for_two_people_through_restarts_and_then_runs(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write("after", *make_tables("H"))
    lab.restart("grid", policy={**GRID_POLICY, "hold": ["train", "promote"], "approvals": 2})
    job = client.submit(make_plan("after")).id
    assert held(client, job).grid.held
    (waits,) = json.loads(own(lab, "grid", "approve", "--json"))
    assert (waits["job"], waits["client"], waits["verdict"]) == (job, str(CLIENT), "waits")
    lab.restart("coordinator")
    assert held(client, job).grid.held
    monkeypatch.setattr(approving, "person", lambda: "li")
    shown = own(lab, "grid", "approve", job, "--yes")
    assert "which matched rows train and which test: to grid" in shown and "bits of the bank's labels are told" in shown
    assert "approved by li; 1 more to go, of 2" in shown
    twice = CliRunner().invoke(grid_party.__main__.main, ["approve", job, "--yes", "--config", str(lab.folder / "grid.toml")])
    assert twice.exit_code == 2 and "li has approved" in twice.output
    lab.restart("grid", policy={**GRID_POLICY, "hold": ["train", "promote"], "approvals": 2})
    assert held(client, job).grid.held
    monkeypatch.setattr(approving, "person", lambda: "wang")
    assert "approved by li, wang: the job is offered again and runs" in own(lab, "grid", "approve", job, "--yes")
    ended = finish(client, job)
    assert ended.state == "succeeded", ended.fault
    entries = [json.loads(line) for line in own(lab, "grid", "audit", "show", "--job", job).splitlines()]
    assert [entry["person"] for entry in entries if entry["what"] == "approve"] == ["li", "wang"]
    assert own(lab, "grid", "approve") == "no job waits for approval\n"
    own(lab, "grid", "audit", "verify")


def test_a_job_that_is_denied_fails_with_the_note_and_those_behind_it_were_not_held_up(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("I"))
    lab.restart("bank", policy={**BANK_POLICY, "hold": ["promote"]})
    promotion = client.submit(PromotePlan(model="train-none", action="promote")).id
    assert finish(client, promotion).fault.kind != "JobCancelled"  # no such model: refused before anybody is asked
    trained = succeed(client, make_plan("after"))
    promotion = client.submit(PromotePlan(model=trained.id, action="promote")).id
    assert held(client, promotion).bank.held
    succeed(client, make_plan("after"))
    assert client.show(promotion).state == "held"
    own(lab, "bank", "deny", promotion, "--note", "wait for the report")
    fault = finish(client, promotion).fault
    assert (fault.origin, fault.kind) == ("bank", "PolicyError")
    assert fault.message == "a person of the bank has denied this job: wait for the report"
    assert "held" not in own(lab, "bank", "jobs", promotion)


def test_a_held_job_that_its_client_cancels_is_held_no_longer(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("J"))
    lab.restart("grid", policy={**GRID_POLICY, "hold": ["train"]})
    job = client.submit(make_plan("after")).id
    held(client, job)
    assert client.cancel(job).state == "cancelled"
    wait(client, job, lambda _: own(lab, "grid", "approve") == "no job waits for approval\n", 15.0)


def test_an_identity_may_do_what_its_role_says_and_is_refused_by_name(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("Q"))
    roles = {str(CLIENT): ["submit", "view"], str(AUDITOR): ["view"]}
    lab.restart("coordinator", clients=[str(CLIENT), str(AUDITOR)], roles=roles)
    job = succeed(client, make_plan("after"))
    reached = {"identity": str(COORDINATOR), "address": lab.address("coordinator")}
    raw = {"tls": lab.tls(AUDITOR), "coordinator": reached}
    with Client(ClientSettings.model_validate(raw)) as auditor:
        assert auditor.show(job.id).state == "succeeded"
        with pytest.raises(PolicyError, match=f"{AUDITOR} may not train models"):
            auditor.submit(make_plan("after"))
    with pytest.raises(PolicyError, match=f"{CLIENT} may not change which model is the champion"):
        client.submit(PromotePlan(model=job.id, action="promote"))
