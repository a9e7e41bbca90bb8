"""A bank with a pipeline, a coordinator that runs each job at once, and a process that can be ended at anything it does."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bank_party.decision.config import DecisionConfig
from bank_party.decision.scores import write_scores
from bank_party.home import BankHome
from bank_party.monitor.config import BankMonitorConfig
from bank_party.pipeline.book import Run, RunBook, RunState, Step, Taken
from bank_party.pipeline.config import load_pipeline
from bank_party.pipeline.run import Cause, Outcome, advance, begin, tidy
from bank_party.pipeline.steps import Place
from bank_party.settings import BankPolicy
from common.config import to_toml
from common.disk.data_folder import Name
from common.errors import JobNotFound, PeerLost
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan
from common.plan.score import ScorePlan
from common.rows.table import FeatureTable, Ids
from common.wire import coordinator_pb2 as wire

ROWS = 300
PLAN = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}


class Killed(BaseException):
    """The process has ended here."""


class Effects:
    """What is done outside, in order; the process ends before or after the one of this number."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.seen, self.kill = 0, -1

    def __call__(self, what: str, act: Callable[[], Any]) -> Any:
        place, self.seen = self.seen, self.seen + 2
        if self.kill == place:
            raise Killed
        found = act()
        self.done.append(what)
        if self.kill == place + 1:
            raise Killed
        return found


class Book(RunBook):
    def __init__(self, file: Path, effects: Effects) -> None:
        super().__init__(file)
        self._effects = effects

    def start(self, run: str, step: Step) -> Taken:
        found: Taken = self._effects(f"start {step}", lambda: super(Book, self).start(run, step))
        return found

    def name_job(self, taken: Taken, part: str, job: str) -> None:
        self._effects(f"name {part}", lambda: super(Book, self).name_job(taken, part, job))

    def finish(self, taken: Taken, facts: Mapping[str, Any]) -> None:
        self._effects(f"finish {taken.step}", lambda: super(Book, self).finish(taken, facts))

    def end(self, run: str, state: RunState, note: str = "") -> None:
        self._effects(f"end {state}", lambda: super(Book, self).end(run, state, note))


class Coordinator:
    """Runs each job at once, and does at the bank what the daemon would. away: does not answer; fate: of jobs by kind."""

    def __init__(self, home: BankHome, effects: Effects) -> None:
        self.listed: list[wire.Job] = []
        self.away, self.fate = False, dict[str, str]()
        self.tilt = 0.0  # of the challenger's scores
        self.late: list[tuple[AnyPlan, str]] | None = None  # requests on the wire of a process that has ended, where any is
        self._made = dict[str, wire.Job]()
        self._home, self._effects = home, effects

    def submit(self, plan: AnyPlan, submission: str = "") -> wire.Job:
        if self.away:
            raise PeerLost("away")
        if self.late is not None:
            self.late.append((plan, submission))
            raise Killed
        job: wire.Job = self._effects(f"submit {plan.name}", lambda: self.arrive(plan, submission))
        return job

    def arrive(self, plan: AnyPlan, submission: str) -> wire.Job:
        """A request that has come through: one job for each submission."""
        if submission not in self._made:
            self._made[submission] = self._run(plan)
        return self._made[submission]

    def _run(self, plan: AnyPlan) -> wire.Job:
        job = wire.Job(id=f"{plan.kind}-{len(self.listed)}", name=plan.name, kind=plan.kind, plan=plan.canonical())
        job.state = self.fate.get(plan.kind, "succeeded")
        job.bank.held = job.state == "held"
        self.listed.append(job)
        if job.state == "succeeded":
            self._keep(job, plan)
        return job

    def _keep(self, job: wire.Job, plan: AnyPlan) -> None:
        if isinstance(plan, ScorePlan):
            tilt = self.tilt if plan.model != "train-old" else 0.0
            u = np.linspace(-3, 3, ROWS)
            u = (1 - tilt) * u + tilt * np.roll(u, ROWS // 3)
            table = FeatureTable(Ids.of([f"W{k}" for k in range(ROWS)]), None, {}, {})
            verdicts = np.where(u < 0, "approve", "decline").tolist()
            columns = {"u": u, "probability": 1 / (1 + np.exp(-u)), "grade": np.ones(ROWS, int), "decision": verdicts}
            write_scores(self._home.scores_of(job.id), table, columns)
        elif isinstance(plan, PromotePlan):
            assert plan.model is not None
            promote(self._home, job.id, plan.model)
        else:
            self._home.registry.enter(job.id, "00", "00", "00")

    def jobs(self, *, last: int = 0, kind: str = "") -> list[wire.Job]:
        return [job for job in self.listed if job.kind == kind][-last:]

    def watch(self, job: str) -> Generator[wire.Job]:
        if self.away:
            raise PeerLost("away")
        found = [one for one in self.listed if one.id == job]
        if not found:
            raise JobNotFound(f"no job {job}")
        yield found[0]


def promote(home: BankHome, job: str, model: str) -> None:
    home.registry.prepare(job, PromotePlan(model=model), model, anew=False)
    home.registry.commit()


class Bench:
    """A bank that has a champion, and a pipeline at it."""

    def __init__(self, folder: Path, *, champion: bool = True, shadow: bool = True, **more: Any) -> None:
        (folder / "plan.toml").write_text(to_toml(PLAN))
        raw: dict[str, Any] = {"name": "monthly", "client": "client.toml", "plan": "plan.toml", **more}
        if shadow:
            raw["shadow"] = {"grid_dataset": "meters", "bank_dataset": "loans"}
        file = folder / "pipeline.toml"
        file.write_text(to_toml(raw))
        self.config = load_pipeline(file)
        self.home = BankHome(
            folder / "data", "wattscore://neutral/coordinator", BankPolicy(approvals=2), BankMonitorConfig(), DecisionConfig()
        )
        if champion:
            self.home.registry.enter("train-old", "00", "00", "00")
            promote(self.home, "promote-old", "train-old")
        self.effects = Effects()
        self.book = Book(folder / "data" / Name.PIPELINE, self.effects)
        self.coordinator = Coordinator(self.home, self.effects)
        self.reports: list[str] = []

    def report(self, job: str, page: Path) -> None:
        self.effects("report", lambda: self.reports.append(job))

    def features(self) -> Mapping[str, Any]:
        rows: dict[str, Any] = self.effects("features", lambda: {"rows": {}})
        return rows

    def begin(self) -> Run:
        return begin(self.config, self.book, Cause("asked for"))

    def go(self) -> Outcome:
        """As far as it can, as a process of its own would."""
        tidy(self.book, self.home.approvals)
        run = self.book.newest(self.config.name)
        assert run is not None
        place = Place(self.config, self.home, self.book, self.coordinator, self.report, self.features)
        return advance(place, run) if run.state is RunState.OPEN else Outcome(run)

    def say(self, run: Run, person: str, *, yes: bool = True) -> None:
        held = self.home.approvals.find(run.run)
        self.home.approvals.say(run.run, held.digest, person, yes=yes, note="" if yes else "too old")

    def through(self) -> Run:
        """To the end of the run, two people approving it when they are asked."""
        outcome = self.go()
        if outcome.rests:
            assert outcome.run is not None
            words = self.home.approvals.ruling(self.home.approvals.find(outcome.run.run)).approvers
            for person in ("li", "wang"):
                if person not in words:
                    self.say(outcome.run, person)
            outcome = self.go()
        assert outcome.run is not None
        return outcome.run
