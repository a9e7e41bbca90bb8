"""Processes that die, fall silent or are told to stop: the others say why, go on serving, and do the next job."""

from __future__ import annotations

import signal

import pytest

from common.client.client import Client
from common.errors import JobStateError, PeerLost
from tests.patience import patience
from tests.scenarios.end_to_end.lab import (
    LONG,
    Lab,
    eventually,
    finish,
    make_plan,
    make_tables,
    succeed,
    until_training,
    works,
)

SLOW = make_plan("main", model=LONG)
PROMPTLY = 10.0  # seconds in which the others notice, on a quiet machine


@pytest.mark.parametrize("name", ["grid", "bank"])
def test_a_party_killed_while_training(lab: Lab, client: Client, name: str) -> None:
    updates = client.watch(until_training(client, SLOW))
    assert next(updates).state == "running"
    lab.kill(name)
    *_, ended = updates
    assert (ended.state, ended.fault.kind, ended.fault.origin) == ("failed", "PeerLost", name)
    assert ended.fault.message == f"the {name} lost its connection to the coordinator"
    assert ended.fault.remedy == f"See whether the {name} still runs, and its log."
    assert lab.alive() == {"coordinator": True, "grid": name != "grid", "bank": name != "bank"}
    # The next job waits for the missing party, and is done when it is back.
    lab.write("after", *make_tables(f"{name}-"))
    waiting = client.submit(make_plan("after")).id
    assert (getattr(client.show(waiting), name).connected, client.show(waiting).state) == (False, "queued")
    lab.start(name)
    done = finish(client, waiting)
    assert done.state == "succeeded", done.fault.message


def test_a_party_that_falls_silent(lab: Lab, client: Client) -> None:
    job = until_training(client, SLOW)
    lab.processes["grid"].send_signal(signal.SIGSTOP)
    try:
        ended = finish(client, job, PROMPTLY)
    finally:
        lab.processes["grid"].send_signal(signal.SIGCONT)
    assert (ended.state, ended.fault.kind) == ("failed", "PeerLost") and "grid" in ended.fault.message
    # The bank may have noticed before the coordinator's pings have: what begins on that line now is lost with it.
    lab.write("after", *make_tables("S0-"))
    first = finish(client, client.submit(make_plan("after")).id)
    assert first.state == "succeeded" or first.fault.kind == "PeerLost", first.fault.message
    works(lab, client)


@pytest.mark.parametrize("name", ["grid", "bank"])
def test_a_party_told_to_stop_during_a_job(lab: Lab, client: Client, name: str) -> None:
    job = until_training(client, SLOW)
    lab.dismiss(name)
    lab.processes[name].send_signal(signal.SIGINT)  # a second signal changes nothing
    ended = finish(client, job, PROMPTLY)
    assert (ended.state, ended.fault.kind, ended.fault.origin) == ("failed", "PeerStopped", name)
    assert ended.fault.message == f"the {name}-party is shutting down"
    assert lab.processes[name].wait(patience(PROMPTLY)) == 0


def test_the_coordinator_told_to_stop_during_a_job(lab: Lab, client: Client) -> None:
    job = until_training(client, SLOW)
    updates = client.watch(job)
    next(updates)
    since = {name: len(lab.written(name)) for name in ("grid", "bank")}
    lab.dismiss("coordinator")
    *_, last = updates
    assert (last.state, last.fault.origin) == ("failed", "coordinator")
    assert last.fault.message == "the wattscore-coordinator is shutting down"
    assert lab.processes["coordinator"].wait(patience(PROMPTLY)) == 0
    for name, start in since.items():
        eventually(lambda name=name, start=start: f"job {job} ended: " in lab.written(name, start))  # type: ignore[misc]
    lab.start("coordinator")
    with lab.client() as again:
        assert again.show(job).fault.message == "the wattscore-coordinator is shutting down"
        works(lab, again)


def test_the_coordinator_killed_and_started_again(lab: Lab, client: Client) -> None:
    done = succeed(client, make_plan("main"))
    running, queued = until_training(client, SLOW), client.submit(SLOW).id
    lab.kill("coordinator")
    with pytest.raises(PeerLost):
        client.jobs()
    lab.start("coordinator")
    with lab.client() as again:
        jobs = {job.id: job for job in again.jobs()}
        assert jobs[done.id].state == "succeeded"
        assert again.show(done.id).bank.report.evaluation == done.bank.report.evaluation
        for job in (running, queued):
            assert (jobs[job].state, jobs[job].fault.message) == ("failed", "the coordinator restarted")
        works(lab, again)  # the parties have come back by themselves


def test_a_job_is_cancelled_while_it_runs(lab: Lab, client: Client) -> None:
    job = until_training(client, SLOW)
    since = {name: len(lab.written(name)) for name in ("grid", "bank")}
    ended = client.cancel(job)
    assert (ended.state, ended.fault.kind) == ("cancelled", "JobCancelled")
    assert ended.fault.message == "cancelled by wattscore://try-bank/client"
    for name, start in since.items():
        eventually(lambda name=name, start=start: f"job {job} ended: cancelled by" in lab.written(name, start))  # type: ignore[misc]
    with pytest.raises(JobStateError, match="is cancelled: it cannot be cancelled"):
        client.cancel(job)
    works(lab, client)


def test_a_job_is_cancelled_before_its_turn(lab: Lab, client: Client) -> None:
    first = until_training(client, SLOW)
    second = client.submit(make_plan("main")).id
    assert client.show(second).state == "queued"
    assert client.cancel(second).state == "cancelled"
    client.cancel(first)
    works(lab, client)
    assert not client.show(second).started


def test_a_taken_port_is_said(lab: Lab) -> None:
    config = lab.folder / "second.toml"
    text = (lab.folder / "grid.toml").read_text()
    config.write_text(text.replace("127.0.0.1:0", lab.address("grid")).replace("grid-data", "second-data"))
    said = lab.refused("grid", config)
    assert f"grid-party: cannot listen on {lab.address('grid')}" in said and "Check that the port" in said
