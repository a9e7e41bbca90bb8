"""The cost of one interruption, in CPU seconds of all three daemons: a training that is killed half-way beside one that is not.

    python -m tests.scenarios.kill.measure --rows 60000 --iterations 40

Start-up of the process that is started again is measured by itself and left out. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from common.client.client import Client
from common.plan.train import TrainPlan
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, dataset_files, make_plan, make_tables

DISTURBANCES = ("none", "start-up alone", "kill")


def cpu() -> float:
    """CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(folder: Path, plan: TrainPlan, rows: int, disturbance: str) -> dict[str, Any]:
    """One training by daemons of its own, and what it took."""
    settings = {"grid": {"policy": GRID_POLICY}, "bank": {"policy": BANK_POLICY}}
    lab = Lab(folder, dataset_files(folder, ("rows",)), settings)
    lab.write("rows", *make_tables("M", rows, grid_columns=20, bank_columns=10))
    before, found = cpu(), dict[str, Any]()
    with lab, lab.client() as client:
        if disturbance == "start-up alone":
            _again(lab)
        begin = time.monotonic()
        job = client.submit(plan).id
        if disturbance == "kill":
            at = _step(client, job, plan.model.iterations // 2)
            lab.kill("bank")
            stopped = time.monotonic()
            lab.start("bank")
            found["steps_at_kill"] = at
            found["seconds_away"] = time.monotonic() - stopped
            found["steps_repeated"] = at + 1 - _step(client, job, 1)
        while not (ended := client.show(job)).ended:
            time.sleep(0.1)
        assert ended.state == "succeeded", ended.fault.message
        found |= {"seconds": time.monotonic() - begin, "attempts": ended.attempt + 1, "stages": _stages(ended)}
    return found | {"cpu": cpu() - before}


def _again(trial: Trial) -> None:
    trial.kill("bank")
    trial.start("bank")


def _step(client: Client, job: str, least: int) -> int:
    """How many steps are done, once that is at least so many in the present attempt."""
    while True:
        shown = client.show(job)
        done = min(party.progress.done for party in (shown.grid, shown.bank) if party.progress.stage == "train") if all(
            party.progress.stage == "train" for party in (shown.grid, shown.bank)
        ) else 0  # fmt: skip
        if done >= least or shown.ended:
            return int(done)
        time.sleep(0.02)


def _stages(job: wire.Job) -> dict[str, float]:
    return {one.stage: round(one.seconds, 2) for one in job.bank.report.seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rows", 60_000), ("iterations", 40)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    plan, found = make_plan("rows", model={"iterations": asked.iterations}), dict[str, Any]()
    for disturbance in DISTURBANCES:
        with tempfile.TemporaryDirectory() as folder:
            found[disturbance] = run(Path(folder), plan, asked.rows, disturbance)
            print(json.dumps({disturbance: found[disturbance]}), flush=True)
    quiet, start_up, killed = (found[name]["cpu"] for name in DISTURBANCES)
    print(json.dumps({"cost of an interruption, CPU, share of the job": round((killed - start_up) / quiet, 4)}))


if __name__ == "__main__":
    main()
