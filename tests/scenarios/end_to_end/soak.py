"""Many small jobs through three daemons that stay up: what each holds of memory, descriptors, threads and disk, as they go by.

    python -m tests.scenarios.end_to_end.soak --jobs 500

prints a line for every twentieth of them; its exit code is 1 where memory or descriptors have grown from the first third on.
Every fifth job scores by the newest model, the others train.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from common.client.client import Client
from common.plan.score import ScorePlan
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, dataset_files, make_plan, make_tables, succeed

GROWTH, SLACK = 1.10, 4 << 20  # of memory
DESCRIPTORS = 8  # more than there were: calls that are about to end
Held = dict[str, tuple[int, int, int, int]]


def held(lab: Lab) -> Held:
    """Of each daemon: bytes of memory, open descriptors, threads, and bytes in its data folder."""

    def of(name: str, pid: int) -> tuple[int, int, int, int]:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        disk = sum(path.stat().st_size for path in lab.data(name).rglob("*") if path.is_file())
        return int(status["VmRSS"].split()[0]) << 10, len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status["Threads"]), disk

    return {name: of(name, process.pid) for name, process in lab.processes.items()}


def run(lab: Lab, client: Client, jobs: int) -> list[Held]:
    """What each held after every twentieth of the jobs."""
    found, begin, newest = list[Held](), time.monotonic(), ""
    for number in range(1, jobs + 1):
        if number % 5 == 0:
            lab.write("rows", *make_tables(f"S{number}-", rows=300))
            side = {"dataset": "rows"}
            succeed(client, ScorePlan.model_validate({"kind": "score", "model": newest, "grid": side, "bank": side}))
        else:
            lab.write("rows", *make_tables(f"T{number}-"))
            newest = succeed(client, make_plan("rows")).id
        if number % max(1, jobs // 20) == 0:
            found.append(held(lab))
            said = "; ".join(
                f"{name} {memory / 2**20:.0f} MiB, {files} files, {threads} threads, {disk / 2**20:.1f} MiB on disk"
                for name, (memory, files, threads, disk) in found[-1].items()
            )
            print(f"{number} jobs in {time.monotonic() - begin:.0f} s: {said}", flush=True)
    return found


def faults(found: list[Held]) -> list[str]:
    """What has grown between the first third and the end."""
    early, late, wrong = found[len(found) // 3], found[-1], list[str]()
    for name in late:
        if late[name][0] > GROWTH * early[name][0] + SLACK:
            wrong.append(f"{name}: {late[name][0]} bytes of memory after {early[name][0]}")
        if late[name][1] > early[name][1] + DESCRIPTORS:
            wrong.append(f"{name}: {late[name][1]} open descriptors after {early[name][1]}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"grid": {"policy": GRID_POLICY}, "bank": {"policy": {**BANK_POLICY, "label_bits": 1e6}}}
        with Lab(Path(folder), dataset_files(Path(folder), ("rows",)), settings) as lab, lab.client() as client:
            found = faults(run(lab, client, asked.jobs))
    print("\n".join(found) or "nothing has grown")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
