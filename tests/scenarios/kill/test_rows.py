"""A training whose rows are computed in runs: the same bytes by any number of them and of workers, whatever becomes of one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.auditor.replay import replay
from common.disk.data_folder import Name
from common.home.dealt import DealtBook
from common.home.outcome import EVALUATION
from common.learn.linear import path
from common.mpc.session import Kind
from common.plan.request import Side
from common.plan.score import ScorePlan
from common.trial.processes import free_ports
from tests.scenarios.end_to_end.lab import eventually, make_plan, measured
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.town import DAEMONS, PARTIES, Town, faults

SPAN_ROWS = "256"  # of a training of some 1,700: seven spans, and so as many runs at most
PLAN = make_plan("rows", model={"iterations": 8}, score_bits=16)
SIDE = Side(dataset="rows")


class Company(Town):
    """A town in which all three agree on so many lanes, and the parties have workers."""

    def __init__(self, folder: Path, lines: Lines, lanes: int, grid: int, bank: int, **more: Any) -> None:
        """more: settings of both parties."""
        super().__init__(folder, lines)
        self.extra["coordinator"]["lanes"] = lanes
        ports = free_ports(grid, self.reserved) if grid else []
        for name, count in (("grid", grid), ("bank", bank)):
            self.extra[name]["policy"]["lanes"] = lanes
            self.extra[name] |= {"workers": count, **more}
        self.extra["grid"]["worker_listen"] = [f"127.0.0.1:{port}" for port in ports]

    def begin(self, command: Any, environment: Any, log: Path) -> Any:
        return super().begin(command, {"SPAN_ROWS": SPAN_ROWS, **environment}, log)


def made(folder: Path, lanes: int, grid: int, bank: int, **more: Any) -> list[bytes]:
    """A model's halves, its evaluation, and the scores by it, in a town of its own that draws what others drew."""
    with Lines() as lines, Company(folder, lines, lanes, grid, bank, **more) as town, town.client() as client:
        model = town.until(client, client.submit(PLAN).id)
        assert (model.state, model.attempt) == ("succeeded", 0), f"{model.fault.message}\n{town.account()}"
        for name, report in zip(PARTIES, (model.grid.report, model.bank.report), strict=True):
            alone = peak_of(town.processes[name].pid)
            assert (report.peak_mib > alone + 20.0) == bool(workers_of(town, name)), (name, report.peak_mib, alone)
        scored = town.until(client, client.submit(ScorePlan(model=model.id, grid=SIDE, bank=SIDE)).id)
        assert (scored.state, scored.attempt) == ("succeeded", 0), scored.fault.message
        for name in PARTIES:
            found = re.findall(rf"job {model.id}: rows in (\d+) runs, by (\d+) workers", town.log(name).read_text())
            apart = lanes > 1 and grid + bank > 0
            assert found == ([(str(lanes), str(grid if name == "grid" else bank))] if apart else []), town.account()
        openings = [DealtBook(town.data(name) / Name.DEALT).read(model.id)[0] for name in PARTIES]
        assert [len(one.runs) for one in openings] == ([lanes, lanes] if apart else [0, 0])
        assert all(run for one in openings for run in one.runs)
        verdict = asyncio.run(replay(openings))
        noted = [kind for one in openings for line in (one.arrays, *one.runs) for kind, _, _ in line]
        untold = noted.count(Kind.DEALT_TAGS.value)  # of keys that are never opened
        assert (verdict.wrong, verdict.compared) == ((), len(noted) - untold)
        assert not faults(town, client, [model.id, scored.id])
        grids, banks = (town.data(name) / "models" for name in PARTIES)
        files = [grids / model.id / "arrays.npz", *(banks / model.id / name for name in ("arrays.npz", EVALUATION))]
        return [file.read_bytes() for file in (*files, town.data("bank") / "scores" / f"{scored.id}.csv")]


def test_models_and_scores_are_the_same_bytes_by_any_number_of_runs_and_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPEATED", "1")
    monkeypatch.setattr(path, "SPAN_ROWS", int(SPAN_ROWS))  # for who replays the dealing
    one = made(tmp_path / "one", 1, 0, 0)
    in_files = {"memory_mib": 0}
    for lanes, grid, bank, more in ((2, 2, 2, {}), (4, 0, 1, {}), (4, 2, 0, {}), (3, 1, 2, in_files)):
        assert made(tmp_path / f"{lanes}-{grid}-{bank}", lanes, grid, bank, **more) == one, (lanes, grid, bank)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with Lines() as lines, Company(tmp_path_factory.mktemp("rows"), lines, 4, 2, 1) as town:
        yield town


SUBMITTED: list[str] = []


def trained(town: Company, attempt: int = 0) -> float:
    """The AUC of a training that comes to its end after so many interruptions, begun once all workers are there."""
    eventually(lambda: [len(workers_of(town, name)) for name in PARTIES] == [2, 1], 60.0)
    with town.client() as client:
        SUBMITTED.append(job := client.submit(PLAN).id)
        found = town.until(client, job)
        assert (found.state, found.attempt) == ("succeeded", attempt), f"{found.fault.message}\n{town.account()}"
        if attempt:
            assert found.disturbed.kind == "PeerLost", found.disturbed.message
        eventually(town.settled)
        assert not faults(town, client, SUBMITTED)
        return measured(town, found).joint.auc


@pytest.mark.parametrize("worker", ["grid-worker-0", "grid-worker-1", "bank-worker-0"])
@pytest.mark.parametrize("when", [Kind.MASKED_U, Kind.MASKED_RESIDUAL])
def test_a_worker_that_is_killed_within_a_step_ends_the_attempt_and_the_job_goes_on(
    town: Company, worker: str, when: Kind
) -> None:
    """Another worker takes its place. No mask of the attempt serves again: see `faults`."""
    once = trained(town)
    killed = town.folder / f"{worker}.killed"
    lives = len(killed.read_text().splitlines()) if killed.exists() else 0
    town.tell(worker, "kill", f"{when.value} 5")
    assert abs(trained(town, 1) - once) <= 0.0005
    assert len(killed.read_text().splitlines()) == lives + 1


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_that_is_killed_takes_its_workers_with_it_and_the_job_goes_on(town: Company, name: str) -> None:
    pids = workers_of(town, name)
    town.tell(name, "kill", {"coordinator": "dealt_link 9"}.get(name, f"{Kind.MASKED_UPDATE.value} 3"))
    trained(town, 1)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def peak_of(process: int) -> float:
    """MiB that it had at most."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024.0


def workers_of(town: Company, name: str) -> list[int]:
    """The processes that run by now."""
    if name == "coordinator":
        return []
    found = re.findall(rf"worker \d of the {name} is ready, process (\d+)", town.log(name).read_text())
    return [int(pid) for pid in found if Path(f"/proc/{pid}").exists()]
