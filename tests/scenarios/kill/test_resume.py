"""A job outlives each kill and each cut of a line: it goes on from what both parties have on disk, and ends as undisturbed."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager

import pytest

from common.client.client import Client
from common.client.like import as_before
from common.disk.data_folder import Name
from common.mpc.session import Kind
from common.plan.predeal import PredealPlan
from common.plan.score import ScorePlan
from tests.scenarios.end_to_end.lab import eventually, make_plan, measured
from tests.scenarios.kill.masks import read_frames
from tests.scenarios.kill.town import DAEMONS, LINES, PARTIES, Town, faults

STEPS = 12
PLAN = make_plan("rows", model={"iterations": STEPS}, score_bits=16)
KEPT = 7  # steps of this town between two points of a training that are kept
MIDST = f"{Kind.MASKED_WEIGHTS.value} 10"  # of a training: after the first of these points
SUBMITTED: list[str] = []  # of this module's town


def ends_well(town: Town, client: Client, job: str, attempts: int | None = 1) -> None:
    """The job succeeds in so many attempts, and its model is that of a training that nothing disturbed."""
    found = town.until(client, job)
    assert found.state == "succeeded", found.fault.message
    assert attempts is None or found.attempt == attempts
    eventually(town.settled)
    assert abs(measured(town, found).joint.auc - _undisturbed(town, client)) <= 0.0005


def begin(client: Client) -> str:
    SUBMITTED.append(job := client.submit(PLAN).id)
    return job


def midst(town: Town, client: Client) -> AbstractContextManager[str]:
    """A training whose grid waits within a step."""
    return town.held("grid", MIDST, lambda: begin(client))


def _undisturbed(town: Town, client: Client, known: dict[str, float] = {}) -> float:  # noqa: B006
    """The AUC of the same training when nothing happens."""
    if not known:
        SUBMITTED.append(job := client.submit(PLAN).id)
        done = town.until(client, job)
        assert (done.state, done.attempt) == ("succeeded", 0)
        known["auc"] = measured(town, done).joint.auc
    return known["auc"]


@pytest.mark.parametrize("name", DAEMONS)
def test_a_process_killed_while_training(town: Town, client: Client, name: str) -> None:
    with midst(town, client) as job:
        town.kill(name)
        if name != "coordinator":
            eventually(lambda: client.show(job).state == "waiting")
            shown = client.show(job)
            assert not getattr(shown, name).connected and shown.disturbed.kind == "PeerLost" and name in shown.disturbed.message
    town.start(name)
    with town.client() as again:
        ends_well(town, again, job)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_process_told_to_stop_while_training(town: Town, client: Client, name: str) -> None:
    with midst(town, client) as job:
        town.restart(name)
    with town.client() as again:
        ends_well(town, again, job)


@pytest.mark.parametrize("line", LINES)
def test_a_line_cut_while_training(town: Town, client: Client, line: str) -> None:
    with midst(town, client) as job:
        town.lines.cut(line)
        try:
            eventually(lambda: client.show(job).state != "running")
        finally:
            town.lines.heal(line)
    ends_well(town, client, job, None)


def test_a_network_that_is_interrupted_goes_on_with_its_next_steps(town: Town, client: Client) -> None:
    """Steps over all rows, which end where they would have under other roundings too; batches need not."""
    plan = make_plan("rows", model={"kind": "network", "hidden": 4, "epochs": 18, "batch": 0})
    SUBMITTED.append(undisturbed := client.submit(plan).id)
    done = town.until(client, undisturbed)
    assert (done.state, done.attempt) == ("succeeded", 0)
    town.tell("grid", "kill", f"{Kind.MASKED_WEIGHTS.value} 17")  # kept after 15
    SUBMITTED.append(job := client.submit(plan).id)
    eventually(lambda: client.show(job).state == "waiting")
    town.start("grid")
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 1)
    eventually(town.settled)
    assert found.grid.report.peer.sent < 0.9 * done.grid.report.peer.sent  # of what it had kept nothing is trained again
    assert abs(measured(town, found).joint.auc - measured(town, done).joint.auc) <= 0.01


def test_half_a_dealers_training_goes_on_from_what_was_kept_under_other_keys(town: Town, client: Client) -> None:
    """The bank dies in the middle of a step; of what it and its second life send no two arrays are under one key."""
    model = {"iterations": STEPS, "dealer": "half", "reveal": "owners", "weight_bits": 16}
    town.tell("bank", "kill", f"{Kind.LATTICE_RESIDUAL.value} 10")
    SUBMITTED.append(job := client.submit(make_plan("rows", model=model, score_bits=16)).id)
    eventually(lambda: client.show(job).state == "waiting")
    town.start("bank")
    ends_well(town, client, job)
    sent = Counter(one.life for one in read_frames(town.folder, "bank") if one.kind == Kind.LATTICE_WEIGHTS.value)
    assert list(sent.values()) == [10, STEPS - KEPT]


def test_a_training_that_nobody_deals_for_begins_anew_under_other_keys(town: Town, client: Client) -> None:
    """The bank dies in the middle of a step: all steps are taken again, of rows that need not be matched again."""
    model = {"dealer": "none", "link": "taylor", "reveal": "owners", "weight_bits": 16}
    town.tell("bank", "kill", f"{Kind.LATTICE_WEIGHTS.value} 30")
    SUBMITTED.append(job := client.submit(make_plan("rows", model=model, matching="ecdh", score_bits=16)).id)
    eventually(lambda: client.show(job).state == "waiting")
    before = [one for one in read_frames(town.folder, "bank") if one.kind == Kind.LATTICE_WEIGHTS.value]
    town.start("bank")
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
    eventually(town.settled)
    after = [one for one in read_frames(town.folder, "bank") if one.kind == Kind.LATTICE_WEIGHTS.value]
    assert len(after) == len(before) + 64


def test_a_stock_that_both_have_made_is_used_in_one_life(town: Town, client: Client) -> None:
    """The bank dies in the middle of a step: what it tells next is under no angle of that stock, but of others made now."""
    _undisturbed(town, client)
    before = client.show(SUBMITTED[0])
    model = {"dealer": "none", "iterations": STEPS, "weight_bits": 16, "reveal": "owners"}
    stock = PredealPlan.model_validate({**as_before(before), "model": model})
    SUBMITTED.append(made := client.submit(stock).id)
    assert (found := town.until(client, made)).state == "succeeded", found.fault.message
    assert [len(list((town.data(party) / Name.STOCK).iterdir())) for party in PARTIES] == [1, 1]
    town.tell("bank", "kill", f"{Kind.MASKED_U.value} 10")
    plan = make_plan("rows", model=model, matching="ecdh", dealt="ahead", score_bits=16)
    SUBMITTED.append(job := client.submit(plan).id)
    eventually(lambda: client.show(job).state == "waiting")
    seen = len(read_frames(town.folder, "bank"))
    town.start("bank")
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
    eventually(town.settled)
    later = Counter(one.kind for one in read_frames(town.folder, "bank")[seen:])
    assert later[Kind.MASKED_U.value] == 0 and later[Kind.LATTICE_WEIGHTS.value] == STEPS
    assert [list((town.data(party) / Name.STOCK).iterdir()) for party in PARTIES] == [[], []]
    assert abs(measured(town, found).joint.auc - _undisturbed(town, client)) <= 0.01


def test_a_model_that_nobody_holds_or_deals_for_outlives_kills_while_rows_are_scored(town: Town, client: Client) -> None:
    """The bank dies over the held-out rows of its training, and again in a scoring: what both are committed to stays."""
    town.tell("bank", "kill", f"{Kind.LATTICE_ROWS.value} 1")
    plan = make_plan("rows", model={"dealer": "none", "link": "taylor"}, matching="ecdh", score_bits=16)
    SUBMITTED.append(job := client.submit(plan).id)
    eventually(lambda: client.show(job).state == "waiting")
    before = Counter(one.kind for one in read_frames(town.folder, "bank"))
    town.start("bank")
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
    eventually(town.settled)
    after = Counter(one.kind for one in read_frames(town.folder, "bank")) - before
    assert after == {Kind.LATTICE_ROWS.value: 1}  # it was through: nothing is trained, or committed to, again
    assert abs(measured(town, found).joint.auc - _undisturbed(town, client)) <= 0.01

    town.tell("grid", "kill", f"{Kind.LATTICE_ROWS.value} 1")
    sides = {side: {"dataset": "rows"} for side in PARTIES}
    scoring = ScorePlan.model_validate({**sides, "model": job, "dealer": "none", "matching": "ecdh"})
    SUBMITTED.append(scored := client.submit(scoring).id)
    eventually(lambda: client.show(scored).state == "waiting")
    town.start("grid")
    done = town.until(client, scored)
    assert (done.state, done.attempt) == ("succeeded", 1), done.fault.message
    eventually(town.settled)
    with (town.data("bank") / Name.SCORES / f"{scored}.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == 1 + done.bank.report.counts.matched_rows
    dealer = done.dealer
    assert not any((dealer.grid.sent, dealer.grid.received, dealer.bank.sent, dealer.bank.received))


def test_what_holds_when_all_is_over(town: Town, client: Client) -> None:
    assert faults(town, client, SUBMITTED) == []


def test_a_waiting_job_is_cancelled_and_nothing_of_it_is_kept(town: Town, client: Client) -> None:
    with midst(town, client) as job:
        town.kill("bank")
        eventually(lambda: client.show(job).state == "waiting")
    assert client.cancel(job).state == "cancelled"
    town.start("bank")
    eventually(town.settled)
    assert not any((town.data(party) / Name.MODELS / job).exists() for party in PARTIES)
    assert client.show(job).state == "cancelled"


def test_a_party_that_has_lost_its_folder_ends_the_job(town: Town, client: Client) -> None:
    with midst(town, client) as job:
        town.kill("grid")
    for path in (town.data("grid") / Name.UNFINISHED / job).iterdir():
        path.unlink()
    town.start("grid")
    found = town.until(client, job)
    assert (found.state, found.fault.message) == ("failed", f"what the grid kept of job {job} is lost")
    eventually(town.settled)


def test_a_dataset_that_has_changed_ends_the_job(town: Town, client: Client) -> None:
    with midst(town, client) as job:
        town.kill("bank")
    table = town.table("bank", "rows")
    before = table.read_text()
    table.write_text(before + before.splitlines()[-1].replace("K0", "Z0") + "\n")
    town.start("bank")
    try:
        found = town.until(client, job)
    finally:
        table.write_text(before)
    said = "the dataset's file has changed since this job began"
    assert (found.state, found.fault.kind, found.fault.message) == ("failed", "DataError", said)
    eventually(town.settled)
