"""Jobs that are disturbed again and again, by a seeded list of operations, and what must hold when all are over.

    python -m tests.scenarios.kill.harness --seed 1 --jobs 40 --operations 200

prints each operation, and whatever does not hold; its exit code is 1 then.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.client.client import Client
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, make_plan
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.town import DAEMONS, LINES, PARTIES, Town, faults

OPERATIONS = ("kill", "kill", "kill", "restart", "cut", "stall", "clock")
FULL = "full"  # the disk of a party: ends its job, with this cause
MODEL = {"iterations": 120}
ARRAYS = {"train": 700, "score": 25, "predeal": 200, "promote": 8}  # about as many as a process sends in a job


@dataclass(frozen=True)
class Operation:
    """One disturbance. after: seconds from when its job was submitted, or from the one before. number: arrays, or seconds."""

    what: str
    whom: str
    after: float
    number: int

    def __str__(self) -> str:
        return f"{self.what} {self.whom} {self.number} after {self.after:.1f} s"


@dataclass
class Play:
    """A run of the harness. say: is told each step."""

    town: Town
    seed: int
    say: Callable[[str], None] = lambda text: None
    submitted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # jobs that were to fail
    promoted: list[str] = field(default_factory=list)

    def run(self, jobs: int, operations: int) -> list[str]:
        """What does not hold in the end."""
        draw = random.Random(self.seed)
        counts = [operations // jobs + (job < operations % jobs) for job in range(jobs)]
        with self.town.client() as client:
            for job, count in enumerate(counts):
                plan = self._plan(job, draw)
                listed = list(_operations(draw, count, plan.kind))
                self._disturbed(client, plan, listed)
            self.town.attended(self.town.settled, 30.0)
            return faults(self.town, client, self.submitted, self.failed)

    def _plan(self, job: int, draw: random.Random) -> AnyPlan:
        """The first trains; then what can be done with what there is."""
        side = {"dataset": "rows"}
        train = make_plan({"grid": side, "bank": side, "model": MODEL}, "plan")
        trained = [name for name in self.submitted if name.startswith("train-") and name not in self.failed]
        if not trained:
            return train
        kinds: list[Callable[[], AnyPlan]] = [
            lambda: train,
            lambda: make_plan({"kind": "score", "model": draw.choice(trained), "grid": side, "bank": side}, "plan"),
            lambda: PredealPlan.model_validate({"rows": 1000, "grid_columns": 20, "bank_columns": 3, "model": MODEL}),
            lambda: PromotePlan(model=trained[-1], force=True) if trained[-1] not in self.promoted else train,
        ]
        return kinds[job % len(kinds)]()

    def _disturbed(self, client: Client, plan: AnyPlan, listed: list[Operation]) -> None:
        said = "; ".join(map(str, listed)) or "undisturbed"
        full = any(one.what == FULL for one in listed)
        if listed and listed[0].what == "kill":  # before it is submitted, so that the array is one of this job's
            self._do(listed.pop(0))
        job = self.town.attended(lambda: client.submit(plan).id, 30.0)
        self.submitted.append(job)
        self.say(f"{job}: {said}")
        for one in listed:
            time.sleep(one.after)
            self._do(one)
        found = self.town.until(client, job)
        for party in PARTIES:
            self.town.tell(party, FULL, None)
        if isinstance(plan, PromotePlan) and plan.model is not None and found.state == "succeeded":
            self.promoted.append(plan.model)
        if full and found.state == "failed" and "no space is left" in found.fault.message:
            self.failed.append(job)
        self.say(f"  {found.state} after {found.attempt} interruptions {found.fault.message}")

    def _do(self, one: Operation) -> None:
        town = self.town
        if one.what == "kill":
            town.tell(one.whom, "kill", str(one.number))
        elif one.what == "restart":
            town.restart(one.whom)
        elif one.what == "cut":
            town.lines.cut(one.whom)
            heal = threading.Timer(one.number, town.lines.heal, (one.whom,))
            heal.daemon = True
            heal.start()
        elif one.what == "stall":
            town.stall(one.whom, one.number)
        elif one.what == "clock":
            town.tell(one.whom, "clock", str(one.number * 1000))
        elif one.what == FULL:
            town.tell(one.whom, FULL, "")


def _operations(draw: random.Random, count: int, kind: str) -> Iterator[Operation]:
    for place in range(count):
        what = draw.choice(OPERATIONS if kind != "train" or place < count - 1 or draw.random() < 0.8 else (FULL,))
        whom = draw.choice(LINES if what == "cut" else PARTIES if what == FULL else DAEMONS)
        most = {"kill": ARRAYS[kind], "cut": 4, "stall": 12, "clock": 86}.get(what, 1)
        number = draw.randint(-most if what == "clock" else 1, most)
        yield Operation(what, whom, draw.random() * 1.5, number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("seed", 1), ("jobs", 40), ("operations", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Lines() as lines, Town(Path(folder), lines) as town:
        begin = time.monotonic()
        found = Play(town, asked.seed, lambda text: print(text, flush=True)).run(asked.jobs, asked.operations)
        print(f"{asked.operations} operations over {asked.jobs} jobs in {time.monotonic() - begin:.0f} s")
    print("\n".join(found) or "all holds")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
