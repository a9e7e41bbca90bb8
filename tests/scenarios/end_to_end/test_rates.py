"""What one client may have in a day, through the three daemons: counted across restarts, lifted by a person."""

from __future__ import annotations

import json

from common.client.client import Client
from common.trial.processes import CLIENT
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, make_plan, make_tables, own, run, succeed


def had(lab: Lab, party: str) -> dict[str, int]:
    clients = json.loads(own(lab, party, "budget", "--json"))["clients"]
    return next((found for found in clients if found["client"] == str(CLIENT)), {"jobs": 0, "rows": 0})


def refused(job: wire.Job, origin: str, says: str) -> None:
    fault = job.fault
    assert (job.state, fault.origin, fault.kind) == ("failed", origin, "PolicyError") and says in fault.message, fault
    assert "Wait until 20" in fault.remedy and f"{origin}-party allow {CLIENT}" in fault.remedy


def test_jobs_beyond_a_clients_rate_wait_or_need_a_persons_word(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("J"))
    lab.restart("grid", policy={**GRID_POLICY, "jobs_per_day": had(lab, "grid")["jobs"] + 1})
    succeed(client, make_plan("after"))
    for _ in range(2):
        refused(run(client, make_plan("after")), "grid", "asks for more jobs than it may have in 24 hours")
    own(lab, "grid", "allow", str(CLIENT), "--jobs", "1")
    succeed(client, make_plan("after"))
    refused(run(client, make_plan("after")), "grid", "of which 0 are left, got 1")
    assert "1 jobs more" in own(lab, "grid", "budget")


def test_scored_rows_beyond_a_clients_rate_are_refused_before_training(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("K"))
    most = had(lab, "bank")["rows"] + 500
    lab.restart("bank", policy={**BANK_POLICY, "rows_per_day": most})
    succeed(client, make_plan("after"))
    job = run(client, make_plan("after", split={"seed": 7}))
    refused(job, "bank", "asks for more rows to be scored than it may have in 24 hours")
    assert f"at most {most} (rows_per_day), of which 50 are left, got 450" in job.fault.message
    assert job.bank.progress.stage != "train"
    own(lab, "bank", "allow", str(CLIENT), "--rows", "400")
    lab.restart("bank", policy={**BANK_POLICY, "rows_per_day": most})
    succeed(client, make_plan("after", split={"seed": 7}))


def test_one_client_does_not_use_up_the_models_of_a_row_in_a_day(lab: Lab, client: Client) -> None:
    lab.write("after", *make_tables("L"))
    lab.restart("grid", policy={**GRID_POLICY, "models_per_day": 2})
    for _ in range(2):
        succeed(client, make_plan("after"))
    refused(run(client, make_plan("after")), "grid", "asks for more models for one row")
    own(lab, "grid", "allow", str(CLIENT), "--models", "1", "--hours", "1")
    succeed(client, make_plan("after"))
