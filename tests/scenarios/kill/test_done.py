"""A training that both parties have kept ends well, whatever breaks before the coordinator hears so: nothing is done again.

A disk that does not answer at a job's end holds up that job alone, which is cancelled at once all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from common.client.client import Client
from common.disk.data_folder import Name
from common.mpc.session import Kind
from tests.scenarios.end_to_end.lab import eventually, make_plan, measured
from tests.scenarios.kill.masks import read_frames
from tests.scenarios.kill.test_cancel import held
from tests.scenarios.kill.town import PARTIES, Town, charges, faults

PLAN = make_plan("rows", model={"iterations": 8})
DONE = "done 1"  # a party's last word on a job
SUBMITTED: list[str] = []  # of this module's town


def sent(town: Town) -> dict[str, int]:
    """How many masked arrays each party has sent."""
    return {name: len(read_frames(town.folder, name)) for name in PARTIES}


@contextmanager
def kept(town: Town, client: Client, *parties: str) -> Iterator[str]:
    """A training whose parties have kept its report, of which these wait with saying so until this is left."""
    for name in parties:
        town.tell(name, "hold", DONE)
    SUBMITTED.append(job := client.submit(PLAN).id)
    try:
        for name in parties:
            eventually(lambda name=name: (town.folder / f"{name}.held").exists(), 60.0)  # type: ignore[misc]
        yield job
    finally:
        for name in parties:
            town.tell(name, "held", None)


def breaks_unwatched(town: Town) -> None:
    """The parties' line breaks, both have seen it, and neither had anything left that would stop a job for it."""

    def sockets() -> dict[str, int]:
        return {name: held(town, name)["files"]["socket:[_]"] for name in PARTIES}

    eventually(lambda: not any("stop_broken" in held(town, name)["tasks"] for name in PARTIES))
    before = sockets()
    town.lines.cut("bank-grid")
    eventually(lambda: all(now < before[name] for name, now in sockets().items()))
    town.lines.heal("bank-grid")


def ends(town: Town, client: Client, job: str, before: dict[str, int], attempt: int) -> None:
    """As done, in this attempt: nothing was sent under a mask since, nor charged twice."""
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", attempt), found.fault.message or found.disturbed.message
    eventually(town.settled)
    assert sent(town) == before
    assert max(charges(town.data("bank"), job).values()) == 1
    assert measured(town, found).joint.auc > 0.6
    if not attempt:
        assert [name for name in PARTIES if f"job {job} ended" in town.log(name).read_text()] == []
    assert not faults(town, client, SUBMITTED)


def test_the_parties_line_that_breaks_once_both_are_through_ends_no_job(town: Town, client: Client) -> None:
    with kept(town, client, *PARTIES) as job:
        before = sent(town)
        breaks_unwatched(town)
    ends(town, client, job, before, attempt=0)


def test_the_parties_line_that_breaks_once_one_has_ended_ends_no_job(town: Town, client: Client) -> None:
    """The grid has said that it is done, and has ended its stream in order: what becomes of the connection is nothing to it."""
    with kept(town, client, "bank") as job:
        eventually(lambda: ("grid", "reported") in [(event.who, event.what) for event in client.show(job).events])
        before = sent(town)
        breaks_unwatched(town)
    ends(town, client, job, before, attempt=0)


@pytest.mark.parametrize("name", PARTIES)
def test_the_line_to_the_coordinator_that_falls_silent_before_a_party_has_said_so(
    town: Town, client: Client, name: str
) -> None:
    """Its word is lost on the way. The next attempt gives the report that was kept."""
    line = f"{name}-coordinator"
    try:
        with kept(town, client, name) as job:
            before = sent(town)
            eventually(lambda: town.lines.connections(line) == 1)  # all that the job had beside it are over
            town.lines.hold_last(line)
        ends(town, client, job, before, attempt=1)
    finally:
        town.lines.let_go(line)


@pytest.mark.parametrize("name", [*PARTIES, "coordinator"])
def test_whoever_is_told_to_stop_before_a_party_has_said_so(town: Town, client: Client, name: str) -> None:
    with kept(town, client, *PARTIES) as job:
        before = sent(town)
        town.again(name)
    ends(town, client, job, before, attempt=1)


@contextmanager
def hanging(town: Town, client: Client, name: str) -> Iterator[str]:
    """A training whose model is kept, and whose report a party's disk does not take until this is left."""
    with town.held(name, f"{Kind.REGISTRY.value} 2", lambda: client.submit(PLAN).id) as job:
        SUBMITTED.append(job)
        town.tell(name, "hang", "")
    try:
        eventually(lambda: (town.folder / f"{name}.hangs").exists(), 30.0)
        yield job
    finally:
        town.tell(name, "hang", None)
        town.tell(name, "hangs", None)


@pytest.mark.parametrize("name", PARTIES)
def test_a_disk_that_does_not_answer_as_the_report_is_kept_ends_no_job(town: Town, client: Client, name: str) -> None:
    with hanging(town, client, name) as job:
        before = sent(town)
        assert client.show(job).state == "running"
        held(town, name)  # it answers a signal, and its loop goes on
    ends(town, client, job, before, attempt=0)


@pytest.mark.parametrize("name", PARTIES)
def test_whoever_is_killed_on_a_disk_that_does_not_answer(town: Town, client: Client, name: str) -> None:
    with hanging(town, client, name) as job:
        town.kill(name)
    town.start(name)
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
    eventually(town.settled)
    assert not faults(town, client, SUBMITTED)


@pytest.mark.parametrize("name", [*PARTIES, "coordinator"])
def test_whoever_is_killed_before_a_party_has_said_so(town: Town, client: Client, name: str) -> None:
    with kept(town, client, *PARTIES) as job:
        before = sent(town)
        town.processes[name].kill()
        town.processes[name].wait(30.0)
        if name in PARTIES:
            town.tell(name, "held", None)
            town.start(name)
    ends(town, client, job, before, attempt=1)


@pytest.mark.parametrize("name", PARTIES)
def test_a_job_that_is_cancelled_while_a_disk_does_not_answer_is_cancelled_at_once(
    town: Town, client: Client, name: str
) -> None:
    with hanging(town, client, name) as job:
        assert client.cancel(job).state == "cancelled"
        eventually(lambda: client.show(job).ended)
    eventually(town.settled)
    assert client.show(job).state == "cancelled"
    assert not any((town.data(party) / Name.MODELS / job).exists() for party in PARTIES)
