"""A job whose parties speak over several connections: it ends as over one, whatever becomes of one of them or of a process."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.client.client import Client
from common.home.outcome import EVALUATION
from common.mpc.session import Kind
from common.plan.request import Side
from common.plan.score import ScorePlan
from common.wire import coordinator_pb2 as wire
from tests.extent import cases
from tests.scenarios.end_to_end.lab import eventually, make_plan, measured
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.test_resume import MIDST
from tests.scenarios.kill.town import DAEMONS, PARTIES, Town, faults

AHEAD = 8  # arrays dealt before they are taken: what the parties are dealt for a step that is held up is far from over
PLAN = make_plan("rows", model={"iterations": 6 + 2 * AHEAD}, score_bits=16)  # each step takes an array at least
LINE = "bank-grid"
EARLY = f"{Kind.MASKED_WEIGHTS.value} 6"  # in a training: before anything of its steps is kept
SIDE = Side(dataset="rows")
SUBMITTED: list[str] = []
FAILED: list[str] = []  # of these, what was to fail


class Roads(Town):
    """A town whose parties wish for one lane at first."""

    def __init__(self, folder: Path, lines: Lines) -> None:
        super().__init__(folder, lines, deal_ahead=AHEAD)
        self.wished = dict.fromkeys(PARTIES, 1)

    def next(self, grid: int, bank: int) -> None:
        """The parties' next lives wish for so many, and the coordinator's deals, and takes tags, over three at most."""
        self.wished.update(grid=grid, bank=bank)
        self.extra["coordinator"]["lanes"] = 3
        for name, lanes in self.wished.items():
            self.extra[name]["policy"]["lanes"] = lanes

    def wish(self, grid: int, bank: int) -> None:
        """From now on."""
        if self.wished != {"grid": grid, "bank": bank}:
            self.next(grid, bank)
            for name in DAEMONS:
                self.again(name)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roads]:
    with Lines() as lines, Roads(tmp_path_factory.mktemp("lanes"), lines) as town:
        yield town


def trained(town: Roads, client: Client, lanes: int) -> float:
    """The AUC of a training that nothing disturbs, after which no connection of its own is left."""
    before = town.lines.connections(LINE)
    SUBMITTED.append(job := client.submit(PLAN).id)
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 0), found.fault.message
    for name in PARTIES:
        told = re.findall(rf"job {job}: (\d) lanes", town.log(name).read_text())
        assert told == ([str(lanes)] if lanes > 1 else [])
        tags = re.findall(rf"job {job}: tags to the coordinator over (\d) lanes", town.log(name).read_text())
        wished = town.wished[name]
        assert tags == ([str(min(wished, 3))] if wished > 1 else []), "the coordinator takes three at most"
    eventually(lambda: town.lines.connections(LINE) <= max(before, 1))
    return measured(town, found).joint.auc


def test_a_training_over_several_lanes_is_the_same_and_goes_on_where_one_is_cut(town: Roads, client: Client) -> None:
    one = trained(town, client, 1)
    town.wish(2, 4)
    with town.client() as client:
        assert abs(trained(town, client, 2) - one) <= 0.0005
    with in_its_midst(town) as (client, job):
        assert town.lines.connections(LINE) == 4
        eventually(lambda: {town.lines.connections(f"{name}-coordinator") for name in PARTIES} == {3})  # those of tags are over
        town.lines.cut_last(LINE)
        eventually(lambda: client.show(job).attempt == 1)
        town.tell("grid", "held", None)
        told = client.show(job).disturbed
        assert told.kind == "PeerLost", told.message
        assert re.search(r"\(lane [0-3] of 4\)", told.message), told.message  # by whoever notices it first
        found = town.until(client, job)
        assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
        assert abs(measured(town, found).joint.auc - one) <= 0.0005
    with in_its_midst(town) as (client, job):
        town.lines.cut_last("grid-coordinator")
        town.tell("grid", "held", None)
        found = town.until(client, job)
        assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
        assert abs(measured(town, found).joint.auc - one) <= 0.0005
        eventually(lambda: set(town.lines.all_connections().values()) == {1})
        eventually(town.settled)
        assert not faults(town, client, SUBMITTED, FAILED)


def made(folder: Path, grid: int, bank: int, again: int = 0) -> list[bytes]:
    """A model's halves, its evaluation, and the scores by it, in a town of its own that draws what others drew.

    Then comes the bank's half of the same model each time it is trained again.
    """
    plan = PLAN.model_copy(update={"model": PLAN.model.model_copy(update={"iterations": 8})})
    with Lines() as lines:
        (town := Roads(folder, lines)).next(grid, bank)
        with town, town.client() as client:
            model = town.until(client, client.submit(plan).id)
            scored = town.until(client, client.submit(ScorePlan(model=model.id, grid=SIDE, bank=SIDE)).id)
            more = [town.until(client, client.submit(plan).id) for _ in range(again)]
            assert {(job.state, job.attempt) for job in (model, scored, *more)} == {("succeeded", 0)}
            for name in PARTIES:
                lanes = set(re.findall(r"job \S+: (\d) lanes", town.log(name).read_text()))
                assert lanes == ({str(min(grid, bank))} if min(grid, bank) > 1 else set())
        grids, banks = (town.data(name) / "models" for name in PARTIES)
        files = [grids / model.id / "arrays.npz", *(banks / model.id / name for name in ("arrays.npz", EVALUATION))]
        files += [town.data("bank") / "scores" / f"{scored.id}.csv", *(banks / job.id / "arrays.npz" for job in more)]
        return [file.read_bytes() for file in files]


def test_models_and_scores_are_the_same_bytes_over_any_number_of_lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPEATED", "1")
    *one, other = made(tmp_path / "one", 1, 1, again=1)
    assert one[1] != other, "the same plan by other draws"
    assert made(tmp_path / "unlike", 2, 4) == one
    assert made(tmp_path / "four", 4, 4) == one


@contextmanager
def in_its_midst(town: Roads, when: str = MIDST, who: str = "grid") -> Iterator[tuple[Client, str]]:
    """A client, and a job over four lanes of which one party waits within a step, until it is told to go on."""
    town.wish(4, 4)
    with town.client() as client, town.held(who, when, lambda: client.submit(PLAN).id) as job:
        SUBMITTED.append(job)
        yield client, job


@contextmanager
def silent(town: Roads, line: str) -> Iterator[None]:
    """Within, the lane of a job that was made last on this line carries nothing, and neither of its ends hears of it."""
    town.lines.hold_last(line)
    try:
        yield
    finally:
        town.lines.let_go(line)


def interrupted(town: Roads, client: Client, job: str) -> wire.Job:
    """The job once it is, with what interrupted it."""
    eventually(lambda: client.show(job).disturbed.kind != "", 30.0)
    found = client.show(job)
    assert found.disturbed.kind == "PeerLost", found.disturbed.message
    return found


def goes_on(town: Roads, client: Client, job: str, who: str = "grid") -> None:
    town.tell(who, "held", None)
    found = town.until(client, job)
    assert found.state == "succeeded" and found.attempt, found.fault.message
    eventually(town.settled)
    eventually(lambda: max(town.lines.all_connections().values()) <= 1)  # none of any attempt is left


@pytest.mark.parametrize("line", [LINE, "bank-coordinator"])
def test_one_lane_that_falls_silent_interrupts_the_job_by_name(town: Roads, line: str) -> None:
    """Neither end hears of it, and the others go on: pings on that one connection find it."""
    with in_its_midst(town, EARLY) as (client, job):
        eventually(lambda: town.lines.connections(line) == (4 if line == LINE else 3))  # those of tags are over
        with silent(town, line):
            town.tell("grid", "held", None)
            told = interrupted(town, client, job).disturbed.message
            assert re.search(r"\(lane \d of [34]\)", told), told
        goes_on(town, client, job)


@pytest.mark.parametrize(
    "line", cases([LINE, "bank-coordinator"], ["grid-coordinator"], "the bank's, which hears of it in the same way")
)
def test_a_lane_that_falls_silent_while_nothing_is_sent_interrupts_the_job_too(town: Roads, line: str) -> None:
    """Nobody waits for an array that is to come over it: the grid stands within a step until this is over."""
    with in_its_midst(town, EARLY) as (client, job):
        eventually(lambda: town.lines.connections(line) == (4 if line == LINE else 3))
        with silent(town, line):
            told = interrupted(town, client, job).disturbed.message
            assert re.search(r"\(lane \d of [34]\)", told), told
        goes_on(town, client, job)


@pytest.mark.parametrize("name", cases(["bank"], ["grid"], "the bank's, which hears of it in the same way"))
def test_a_lane_of_tags_that_falls_silent_interrupts_the_job(town: Roads, name: str) -> None:
    """The bank's, while it is about to send tags, or waits for the answer as the grid does."""
    with in_its_midst(town, f"{Kind.PSI_TAGS.value} 1", name) as (client, job):
        eventually(lambda: town.lines.connections("bank-coordinator") == 5)  # two more of what is dealt, two of tags
        with silent(town, "bank-coordinator"):
            told = interrupted(town, client, job).disturbed.message
            assert re.search(r"\(lane \d of 3\)", told), told
        goes_on(town, client, job, name)


@pytest.mark.parametrize("name", PARTIES)
def test_a_process_that_stands_still_interrupts_the_job_by_name(town: Roads, name: str) -> None:
    with in_its_midst(town) as (client, job):
        town.processes[name].send_signal(signal.SIGSTOP)
        try:
            told = interrupted(town, client, job).disturbed
        finally:
            town.processes[name].send_signal(signal.SIGCONT)
        assert name in told.message, told.message
        goes_on(town, client, job)


@pytest.mark.parametrize("name", ["bank", "coordinator"])
def test_a_process_killed_in_the_midst_of_a_step_goes_on(town: Roads, name: str) -> None:
    """By the kernel, before an array of a step that is over several lanes has left."""
    killed = town.folder / f"{name}.killed"
    lives = len(killed.read_text().splitlines()) if killed.exists() else 0
    with in_its_midst(town, EARLY) as (client, job):
        town.tell(name, "kill", "9")
        town.tell("grid", "held", None)
        eventually(lambda: killed.exists() and len(killed.read_text().splitlines()) > lives)
        goes_on(town, client, job)


def test_a_full_disk_ends_the_job_with_its_cause_at_both(town: Roads) -> None:
    with in_its_midst(town, EARLY) as (client, job):
        town.tell("grid", "full", "")
        town.tell("grid", "held", None)
        try:
            found = town.until(client, job)
        finally:
            town.tell("grid", "full", None)
        assert found.state == "failed" and "no space is left" in found.fault.message, found.fault.message
        town.revive()
        FAILED.append(job)
        eventually(lambda: re.search(rf"{job}.*no space is left", town.log("bank").read_text()) is not None)
        eventually(town.settled)
        assert not faults(town, client, SUBMITTED, FAILED)
