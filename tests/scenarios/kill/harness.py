"""Jobs that are disturbed again and again, by a seeded list of operations, and what must hold when all are over.

    python -m tests.scenarios.kill.harness --seed 1 --jobs 40 --operations 200

prints each operation, and whatever does not hold; its exit code is 1 then. Of what does not come to an end it says the
operation, its job, what each process was doing, and the seed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from common.client.client import Client
from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, make_plan
from common.plan.train import TrainPlan
from tests.scenarios.end_to_end.lab import measured
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.town import Disturbed, Town, faults

OPERATIONS = ("kill", "kill", "kill", "restart", "cut", "stall", "clock")
FULL = "full"  # the disk of a party: ends its job, with this cause
MODEL = {"iterations": 40}
DEALERS = ("whole", "none", "half")  # of trainings, in turn
ALIKE = 0.0005  # of AUC: roundings after an interruption are others
ARRAYS = {"train": 250, "score": 25, "predeal": 80, "promote": 8}  # about as many as a process sends in a job


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

    town: Disturbed
    seed: int
    say: Callable[[str], None] = lambda text: None
    submitted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # jobs that were to fail
    promoted: list[str] = field(default_factory=list)
    dealers: dict[str, str] = field(default_factory=dict)  # by training, who deals in it
    doing = "it is begun"
    _heals: dict[str, threading.Timer] = field(default_factory=dict)  # of lines that were cut last

    def run(self, jobs: int, operations: int) -> list[str]:
        """What does not hold in the end."""
        draw = random.Random(self.seed)
        counts = [operations // jobs + (job < operations % jobs) for job in range(jobs)]
        with self.town.client() as client:
            for job, count in enumerate(counts):
                plan = self._plan(job, draw)
                listed = list(drawn(draw, count, plan.kind, self.town))
                try:
                    self._disturbed(client, plan, listed)
                except Exception as error:
                    raise self._named(job, plan, listed, error) from error
            with suppress(AssertionError):  # else it is among the faults
                self.town.attended(self.town.settled, 30.0)
            return self._ends(client)

    def _ends(self, client: Client) -> list[str]:
        """What does not hold once all jobs are over."""
        assert isinstance(self.town, Town)
        aucs: dict[str, dict[str, float]] = {dealer: {} for dealer in DEALERS}
        for job in client.jobs():
            if (job.kind, job.state) == ("train", "succeeded"):
                aucs[self.dealers[job.id]][job.id] = measured(self.town, job).joint.auc
        elsewhere = [text for alike in aucs.values() for text in apart(alike)]
        return [*faults(self.town, client, self.submitted, self.failed), *elsewhere]

    def _named(self, job: int, plan: AnyPlan, listed: list[Operation], error: Exception) -> AssertionError:
        """What went wrong in which job, by which operation, of which seed."""
        name = self.submitted[job] if job < len(self.submitted) else f"{plan.kind}, which was not submitted"
        done = f"{self.doing} ({'; '.join(map(str, listed)) or 'undisturbed'})"
        where = f"seed {self.seed}, job {job} ({name}), while {done}: {type(error).__name__}: {error}"
        return AssertionError(f"{where}\n{self.town.account()}")

    def _plan(self, job: int, draw: random.Random) -> AnyPlan:
        """The first trains; then what can be done with what there is."""
        side = {"dataset": "rows"}
        dealer = DEALERS[len(self.dealers) % len(DEALERS)]
        model = {**MODEL, "dealer": dealer, **({"reveal": "owners"} if dealer == "half" else {})}
        how = {"matching": "ecdh"} if dealer == "none" else {}
        train = make_plan({"grid": side, "bank": side, "model": model, "score_bits": 16, **how}, "plan")
        trained = [name for name in self.submitted if name.startswith("train-") and name not in self.failed]
        if not trained:
            return train
        kinds: list[Callable[[], AnyPlan]] = [
            lambda: train,
            lambda: self._scoring(draw.choice(trained)),
            lambda: PredealPlan.model_validate({"rows": 1000, "grid_columns": 20, "bank_columns": 3, "model": MODEL}),
            lambda: PromotePlan(model=trained[-1], force=True) if trained[-1] not in self.promoted else train,
        ]
        return kinds[job % len(kinds)]()

    def _scoring(self, model: str) -> AnyPlan:
        """By a model that nobody holds, with a dealer or without as it was trained."""
        side = {"dataset": "rows"}
        how = {"dealer": "none", "matching": "ecdh"} if self.dealers[model] == "none" else {}
        return make_plan({"kind": "score", "model": model, "grid": side, "bank": side, **how}, "plan")

    def _disturbed(self, client: Client, plan: AnyPlan, listed: list[Operation]) -> None:
        said = "; ".join(map(str, listed)) or "undisturbed"
        full, later = any(one.what == FULL for one in listed), listed
        if listed and listed[0].what == "kill":  # before it is submitted, so that the array is one of this job's
            self._do(listed[0])
            later = listed[1:]
        self.doing, submission = "it is submitted", f"{self.seed}-{len(self.submitted)}"
        job = self.town.attended(lambda: client.submit(plan, submission).id, 30.0)
        self.submitted.append(job)
        self._submitted(job, plan)
        self.say(f"{job}: {said}")
        for one in later:
            time.sleep(one.after)
            self._do(one)
        self.doing = "its end is awaited"
        found = self.town.until(client, job)
        for party in self.town.parties:
            self.town.tell(party, FULL, None)
        for name in self.town.daemons:  # arrays that this job did not send are not counted in the next one
            self.town.tell(name, "kill", "0")
        if isinstance(plan, PromotePlan) and plan.model is not None and found.state == "succeeded":
            self.promoted.append(plan.model)
        if full and found.state == "failed" and "no space is left" in found.fault.message:
            self.failed.append(job)
        self.say(f"  {found.state} after {found.attempt} interruptions {found.fault.message}")

    def _submitted(self, job: str, plan: AnyPlan) -> None:
        if isinstance(plan, TrainPlan):
            assert isinstance(plan.model, Model)
            self.dealers[job] = plan.model.dealer

    def _do(self, one: Operation) -> None:
        self.doing, town = f"{one} is done", self.town
        if one.what == "kill":
            town.tell(one.whom, "kill", str(one.number))
        elif one.what == "restart":
            town.again(one.whom)
        elif one.what == "cut":
            if (before := self._heals.pop(one.whom, None)) is not None:
                before.cancel()  # else it would heal this cut
            town.lines.cut(one.whom)
            heal = self._heals[one.whom] = threading.Timer(one.number, town.lines.heal, (one.whom,))
            heal.daemon = True
            heal.start()
        elif one.what == "stall":
            town.stall(one.whom, one.number)
        elif one.what == "clock":
            town.tell(one.whom, "clock", str(one.number * 1000))
        elif one.what == FULL:
            town.tell(one.whom, FULL, "")


def apart(aucs: Mapping[str, float]) -> list[str]:
    """The trainings, all of one plan over the same rows, whose AUC is not that of most of them."""
    usual = statistics.median(aucs.values()) if aucs else 0.0
    return [f"{job} has an AUC of {auc:.5f}, others {usual:.5f}" for job, auc in aucs.items() if abs(auc - usual) > ALIKE]


def drawn(draw: random.Random, count: int, kind: str, town: Disturbed) -> Iterator[Operation]:
    for place in range(count):
        what = draw.choice(OPERATIONS if kind != "train" or place < count - 1 or draw.random() < 0.8 else (FULL,))
        whom = draw.choice(town.links if what == "cut" else town.parties if what == FULL else town.daemons)
        most = {"kill": ARRAYS[kind], "cut": 4, "stall": 12, "clock": 86}.get(what, 1)
        number = draw.randint(-most if what == "clock" else 1, most)
        yield Operation(what, whom, draw.random() * 1.5, number)


def told(seed: int, jobs: int, operations: int, play: Callable[[], list[str]]) -> NoReturn:
    """Plays, prints what does not hold, and ends the program."""
    begin = time.monotonic()
    try:
        found = play()
    except AssertionError as error:
        found = [str(error)]
    print(f"{operations} operations over {jobs} jobs, seed {seed}, in {time.monotonic() - begin:.0f} s")
    print("\n".join(found) or "all holds")
    sys.exit(bool(found))


def asked(doc: str | None, jobs: int, operations: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("seed", 1), ("jobs", jobs), ("operations", operations)):
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def main() -> None:
    how = asked(__doc__, 40, 200)
    with tempfile.TemporaryDirectory() as folder, Lines() as lines, Town(Path(folder), lines) as town:
        play = Play(town, how.seed, lambda text: print(text, flush=True))
        told(how.seed, how.jobs, how.operations, lambda: play.run(how.jobs, how.operations))


if __name__ == "__main__":
    main()
