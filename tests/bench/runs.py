"""The training stage of one plan by one process a party and by workers, job after job in turns, through real daemons.

    python -m tests.bench.runs --rows 500000 --columns 20 --workers 0,2 --repeat 3

Prints a line of JSON for each number of workers: medians of the processor seconds of each party's processes, workers among
them, and of the coordinator, from the first moment of the stage to its last as its client sees them, of its seconds, and the
ratio of all processor seconds to those of the first. With w workers there are as many lanes; 0: one, as by default.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from common.client.client import Client
from common.plan.job_stages import Stage
from common.trial.processes import Trial, free_ports
from tests.bench import jobs
from tests.bench.tables import HELD_OUT, write_tables
from tests.bench.train import Workload

_LOOK = 0.02  # seconds between two looks at a job
Spent = Mapping[str, float]


def measure(rows: int, columns: int, workers: Sequence[int], repeat: int, iterations: int = 12) -> list[dict[str, Any]]:
    """rows: to train on. columns: of each party."""
    work = Workload(rows, columns, columns, iterations)
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        datasets = jobs.declare(write_tables(folder, round(rows / (1.0 - HELD_OUT)), columns, columns))
        trials = {count: stack.enter_context(_trial(folder / str(count), datasets, count)) for count in workers}
        found: dict[int, list[Spent]] = {count: [] for count in workers}
        for turn in range(repeat):
            for count in list(workers)[:: 1 if turn % 2 == 0 else -1]:
                found[count].append(_job(trials[count], work))
    medians = [{name: statistics.median(one[name] for one in found[count]) for name in found[count][0]} for count in workers]
    totals = [sum(value for name, value in one.items() if name != "seconds") for one in medians]
    about = {"rows": rows, "columns": 2 * columns, "repeat": repeat, "load": round(os.getloadavg()[0], 1)}
    return [
        {
            "workers": count,
            **{name: round(value, 2) for name, value in one.items()},
            "ratio": round(total / totals[0], 3),
            **about,
        }
        for count, one, total in zip(workers, medians, totals, strict=True)
    ]


@contextmanager
def _trial(folder: Path, datasets: Mapping[str, Any], workers: int) -> Iterator[Trial]:
    lanes, reserved = max(1, workers), ExitStack()
    ports = free_ports(workers, reserved) if workers else []
    own = {"workers": workers}
    settings: dict[str, dict[str, Any]] = {
        "coordinator": {"lanes": lanes},
        "grid": {**jobs.SETTINGS["grid"], **own, "worker_listen": [f"127.0.0.1:{port}" for port in ports]},
        "bank": {**jobs.SETTINGS["bank"], **own},
    }
    for name in ("grid", "bank"):
        settings[name]["policy"] = {**settings[name]["policy"], "lanes": lanes}
    folder.mkdir()
    parties = {name: {"t": dataset} for name, dataset in datasets.items()}
    with reserved, Trial(folder, parties, settings) as trial:
        yield trial


def _job(trial: Trial, work: Workload) -> Spent:
    """What its training stage took."""
    jobs.forget_scores(trial)
    with trial.client() as client:
        before = _at(client, trial, job := client.submit(work.plan()).id, {Stage.TRAIN})
        after = _at(client, trial, job, {Stage.REVEAL, Stage.EVALUATE})
        while not (found := client.show(job)).ended:
            time.sleep(_LOOK)
        if found.state != "succeeded":
            raise SystemExit(f"the job {found.state}: {found.fault.message}")
    return {name: after[name] - before[name] for name in before}


def _at(client: Client, trial: Trial, job: str, stages: set[str]) -> dict[str, float]:
    """Processor seconds of all processes by now, and the clock, once the bank's part of the job is at one of these."""
    while not (found := client.show(job)).ended and found.bank.progress.stage not in stages:
        time.sleep(_LOOK)
    return {name: _spent(trial.processes[name].pid) for name in ("grid", "bank", "coordinator")} | {"seconds": time.monotonic()}


def _spent(process: int) -> float:
    """Of a process and those that it started."""
    children = [int(one) for task in Path(f"/proc/{process}/task").iterdir() for one in (task / "children").read_text().split()]
    return jobs.processor(process) / 1000.0 + sum(map(_spent, children))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--workers", default="0,2")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    for one in measure(given.rows, given.columns, [int(count) for count in given.workers.split(",")], given.repeat):
        print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()
