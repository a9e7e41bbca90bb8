"""A training of several banks outlives each kill: it waits with the name of who is gone, and goes on from what all have."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bank_party.decision import bundle
from common.client.client import Client
from common.disk.data_folder import Name
from common.home.outcome import EVALUATION, parse_evaluation
from common.plan.job_states import State
from common.plan.several import SeveralPlan
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.patience import patience
from tests.scenarios.end_to_end.several import World, exact, prepared_rows, synthetic
from tests.scenarios.end_to_end.test_banks_alone import at_optimum
from tests.scenarios.end_to_end.test_banks_alone import plan as alone
from tests.scenarios.kill.masks import Sent, read_frames, seeds_of, twice
from tests.scenarios.kill.town import Disturbed, charges

POLICY = {"rows_per_day": 10**8, "jobs_per_day": 1000, "models_per_day": 100, "min_matched": 300, "leave_out": True}
POLICY |= {"banks_alone": True}
GRID_POLICY, BANK_POLICY = {**POLICY, "scores_per_row": 1000}, {**POLICY, "label_bits": 1000.0}
STEPS, BACK, KEPT = 20, 8, 8  # of a training; that are taken again after a kill, at most; points kept so many times as often
WHEN = {"grid": "masked_weights 39", "coordinator": "dealt_sum 14"}  # is killed: about half-way
HALF_WAY = "masked_weights 13"  # of a bank
ALONE = {
    "bank": "masked_addend 10",
    "bank-2": "registry 1",
    "bank-3": "masked_addend 3",
    "grid": "pooled_step 5",
    "coordinator": "dealt_sum 9",
}


class Street(Trial):
    """A grid, three banks and a coordinator, all of them victims."""

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "tests.scenarios.kill.victim", name]

    def data(self, name: str) -> Path:
        return self.folder / f"{name}-data"

    def kept(self, name: str, what: Name) -> list[str]:
        folder = self.data(name) / what
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Street, World]]:
    folder = tmp_path_factory.mktemp("street")
    world = synthetic(folder, (1500, 900, 1600))
    settings: dict[str, Any] = {name: {"policy": BANK_POLICY} for name in world.names} | {"grid": {"policy": GRID_POLICY}}
    settings["coordinator"] = {"attend_timeout": patience(20)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPT", str(KEPT))
        with Street(folder, world.datasets, settings) as trial:
            yield trial, world


@pytest.fixture(autouse=True)
def whole(street: tuple[Street, World]) -> Iterator[None]:
    """Whoever a test that failed left dead runs again: one failure is not that of all that follow."""
    yield
    trial, _ = street
    for name, process in trial.processes.items():
        if process.poll() is not None:
            trial.start(name)


def killed(street: Street, client: Client, world: World, name: str, **more: Any) -> str:
    """A training of whose steps about half are done when this process is killed."""
    plan = world.plan(model={"iterations": STEPS}, limits={"min_matched": 300}, **more)
    return shot(street, client, plan, name, WHEN.get(name, HALF_WAY))


def shot(street: Street, client: Client, plan: SeveralPlan, name: str, when: str) -> str:
    """A job in which this process is killed after so many arrays."""
    (part := street.folder / f"{name}.part").write_text(when)
    part.replace(street.folder / f"{name}.kill")
    job = client.submit(plan).id
    street.processes[name].wait(patience(60))
    return job


def until(client: Client, job: str, state: str, seconds: float = 60.0) -> wire.Job:
    """The job once it is in this state; an answer that fails, as the coordinator is away, is asked for again."""
    end, found, pause = time.monotonic() + patience(seconds), None, 0.05
    while time.monotonic() < end:
        with suppress(Exception):
            found = client.show(job)
        if found is not None and found.state == state:
            return found
        if found is not None and State(found.state).final:
            break
        time.sleep(pause)
        pause = min(0.3, 1.3 * pause)
    raise AssertionError(f"it is {found.state}: {found.fault.message}; {story(found)}" if found else "it is not known")


def story(job: wire.Job) -> list[str]:
    """What has happened to a job, so that a failure says by itself what interrupted it."""
    return [f"{event.who} {event.what} {event.stage}".rstrip() for event in job.events]


def steps(street: Street) -> int:
    """How many steps the second bank, which nobody kills, has taken in all jobs."""
    return sum(one.kind == "masked_weights" for one in read_frames(street.folder, "bank-2"))


@contextmanager
def trusting(folder: Path) -> Iterator[tuple[Street, World]]:
    """Three banks that trust each other to pool nothing, so that steps may be over few of a bank's rows."""
    world, bank = synthetic(folder, (1500, 900, 1600)), {**BANK_POLICY, "coalition_rows": 0.0}
    settings: dict[str, Any] = {name: {"policy": bank} for name in world.names} | {"grid": {"policy": GRID_POLICY}}
    settings["coordinator"] = {"attend_timeout": patience(20)}
    with Street(folder, world.datasets, settings) as trial:
        yield trial, world


def masked(street: Street, name: str) -> list[Sent]:
    """What a party has sent; what the grid says to all banks alike is one array."""
    every = read_frames(street.folder, name)
    return list({(one.kind, one.life, one.values.tobytes()): one for one in every}.values())


def ends_well(street: Street, world: World, job: str) -> None:
    """Each bank has the pooled exact fit's quality, and nothing is kept of the job but its model."""
    with street.client() as client:
        done = until(client, job, "succeeded")
    assert done.attempt == 1, story(done)
    as_exact(street, world, job)
    cleared(street, ("grid", *world.names))


def as_exact(street: Street | Disturbed, world: World, job: str) -> None:
    """The model of these banks is that of the exact fit to all of their rows."""
    held = {name: set(bundle.load(job, street.data(name) / Name.MODELS / job).ids) for name in world.names}
    twin = exact(prepared_rows(street, world, job, held), world.plan().model.ridge)
    for name in world.names:
        found = parse_evaluation((street.data(name) / Name.MODELS / job / EVALUATION).read_bytes())
        # of some hundred held-out rows a bank, drawn anew in each job: 0.0021 has been seen
        assert abs(found.joint.auc - twin[name].auc) < 0.004 and abs(found.joint.logloss - twin[name].logloss) < 0.002


def cleared(street: Street, parties: tuple[str, ...]) -> None:
    """Nothing is kept of jobs that are over: each party is told of that once the client is."""
    end = time.monotonic() + patience(20)
    while any(street.kept(name, Name.UNFINISHED) for name in parties) and time.monotonic() < end:
        time.sleep(0.1)
    assert [name for name in parties if street.kept(name, Name.UNFINISHED)] == []


@pytest.mark.parametrize("name", ["bank", "bank-3", "grid", "coordinator"])
def test_whoever_is_killed_while_training(street: tuple[Street, World], name: str) -> None:
    trial, world = street
    before = steps(trial)
    with trial.client() as client:
        job = killed(trial, client, world, name)
        if name != "coordinator":
            shown = until(client, job, "waiting", 10.0)
            told = dict(zip(("grid", *world.names), (shown.grid, *shown.banks), strict=True))
            assert not told[name].connected and shown.disturbed.kind == "PeerLost"
            assert shown.disturbed.message.startswith(f"the {'bank try-' if name != 'grid' else ''}{name} lost its connection")
    trial.start(name)
    ends_well(trial, world, job)
    assert STEPS <= steps(trial) - before < STEPS + BACK


@pytest.mark.parametrize("name", ALONE)
def test_whoever_is_killed_while_banks_train_alone(street: tuple[Street, World], name: str) -> None:
    """A bank in preparation, in a step, or as it keeps its model; who adds up, within a sum; who deals. Labels cost it once."""
    trial, world = street
    with trial.client() as client:
        job = shot(trial, client, alone(world), name, ALONE[name])
        if name != "coordinator":
            shown = until(client, job, "waiting", 10.0)
            assert shown.disturbed.kind == "PeerLost", shown.disturbed
        trial.start(name)
        done = until(client, job, "succeeded")
        assert done.attempt == 1, story(done)
    at_optimum(trial, world, job)
    for bank in world.names:
        assert max(charges(trial.data(bank), job).values()) == 1
    cleared(trial, ("grid", *world.names))


def test_the_others_go_on_without_one_that_does_not_come_back(street: tuple[Street, World]) -> None:
    """From the columns as all had prepared them, its rows being in none of the steps; it is told so, and keeps nothing."""
    trial, world = street
    with trial.client() as client:
        job = killed(trial, client, world, "bank-3", min_live=2, leave_out_after=1.0)
        done = until(client, job, "succeeded")
    live = replace(world, names=world.names[:2])
    assert [bank.left_out for bank in done.banks] == [False, False, True] and not done.banks[2].report.model_digest
    assert "left out" in [event.what for event in done.events] and done.dealer.banks[2].sent == 0
    for told in (done.grid, *done.banks[:2]):
        assert [said for said in told.report.warnings if world.plan().banks[2].who in said and "left out" in said]
    assert done.grid.report.counts.train_rows == sum(bank.report.counts.train_rows for bank in done.banks[:2])
    as_exact(trial, live, job)
    trial.start("bank-3")
    cleared(trial, ("grid", *world.names))
    assert job not in trial.kept("bank-3", Name.MODELS) and job in trial.kept("bank-2", Name.MODELS)
    fewer = live.plan(limits={"min_matched": 300})
    with trial.client() as client:
        *_, refused = client.watch(client.submit(fewer).id)
    assert refused.state == "failed" and refused.fault.kind == "PolicyError", refused.fault
    assert "of one bank more or fewer on the same rows" in refused.fault.message
    assert "differ_by_one" in refused.fault.remedy and world.plan().banks[2].who not in str(refused.fault)


def test_no_mask_has_served_twice(street: tuple[Street, World]) -> None:
    trial, world = street
    for name in ("grid", *world.names):
        sent = masked(trial, name)
        assert len(sent) > 400 and twice(sent) == []  # of what the tests before this one had done
        assert [mark for mark, lives in seeds_of(trial.folder / f"{name}.seeds").items() if len(lives) > 1] == []


def test_one_that_waits_is_cancelled_and_nothing_of_it_is_kept(street: tuple[Street, World]) -> None:
    trial, world = street
    with trial.client() as client:
        job = killed(trial, client, world, "bank-2")
        until(client, job, "waiting")
        assert client.cancel(job).state == "cancelled"
        trial.start("bank-2")
        end = time.monotonic() + patience(20)
        parties = ("grid", *world.names)
        while any(trial.kept(name, Name.UNFINISHED) for name in parties) and time.monotonic() < end:
            time.sleep(0.1)
        for name in parties:
            assert not trial.kept(name, Name.UNFINISHED) and job not in trial.kept(name, Name.MODELS)
