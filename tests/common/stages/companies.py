"""Two small companies on disk, and whole jobs between them in one process with a real dealer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bank_party.decision.config import DecisionConfig
from bank_party.home import BankHome
from bank_party.monitor.config import BankMonitorConfig
from bank_party.settings import BankPolicy
from common.disclosure import Opened
from common.disk.data_folder import Name
from common.disk.scratch import Scratch
from common.home.models import ModelStore
from common.home.outcome import Outcome
from common.home.stocks import Stocks
from common.learn.dealings import dealings
from common.learn.linear.deal import KEPT_BYTES
from common.match.agree import Match
from common.monitor.config import MonitorConfig
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Session, Silent
from common.party import Party
from common.plan.policy import Policy
from common.plan.read import make_plan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.rows.consent import ConsentConfig, Consents
from common.rows.dataset import DatasetConfig
from common.stages.course import Course
from common.stages.desk import Desk
from common.stages.job import PartyJob
from common.stages.pipeline import run
from grid_party.home import GridHome
from grid_party.settings import GridPolicy
from tests.peers import KEYS, Trio, coordinate
from tests.roles import role_of

CLIENT = "wattscore://acme-bank/analyst"
COMMON, GRID_ONLY, BANK_ONLY, MONTHS = 500, 60, 40, 3
FLOORS = {"min_matched": 50, "min_rows": 100}
LIMITS: dict[str, Any] = {"limits": FLOORS, "preparation": {"min_binary": 20, "coding": "linear"}}
RATES = dict.fromkeys(("jobs_per_day", "rows_per_day", "models_per_day"), 10**6)
POLICY = Policy(**FLOORS, **RATES, min_binary=20, min_batch=1, min_iterations=1, own_weights=True)

SMALL: dict[Party, dict[str, Any]] = {
    Party.GRID: {"min_columns": 3},
    Party.BANK: {"label_bits": 10.0, "metric_bits": 1e3, "min_per_class": 20},
}
"""What each party's policy has for four columns of the grid, and for few rows."""


class Recorder(Silent):
    """Keeps the stages, warnings and counts of rows that others hear of."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[str] = []
        self.counted: list[int] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def expect(self, size: int) -> None:
        pass

    def rows(self, count: int) -> None:
        self.counted.append(count)


def frames(seed: int, monthly: bool) -> dict[Party, pd.DataFrame]:
    """Both companies' rows, each shuffled; the grid's columns tell much of the label and the bank's little."""
    rng = np.random.default_rng(seed)
    firms = COMMON + GRID_ONLY + BANK_ONLY
    repeat = MONTHS if monthly else 1
    ids = np.repeat([f"F{k:04d}" for k in rng.permutation(firms)], repeat)
    count = len(ids)
    kwh, peak, late = rng.lognormal(3.0, 0.5, count), rng.normal(0.0, 1.0, count), rng.normal(0.0, 1.0, count)
    branch = rng.choice(["mill", "shop", "farm"], count, p=[0.4, 0.4, 0.2])
    income, debt = rng.normal(50.0, 10.0, count), rng.normal(0.0, 1.0, count)
    u = 1.4 * peak - 1.2 * late + 0.9 * (branch == "farm") - 0.03 * (income - 50) + 0.5 * debt - 0.8
    label = (rng.random(count) < 1.0 / (1.0 + np.exp(-u))).astype(int)
    grid = pd.DataFrame({"id": ids, "kwh": kwh, "peak": peak, "late": late, "branch": branch})
    bank = pd.DataFrame({"firm": ids, "income": income, "debt": debt, "overdue": label})
    if monthly:
        months = np.tile([f"2024-{m + 1:02d}" for m in range(MONTHS)], firms)
        grid.insert(1, "month", months)
        bank.insert(1, "month", months)
    shared, alone = COMMON * repeat, GRID_ONLY * repeat
    mine, theirs = grid.iloc[: shared + alone], pd.concat([bank.iloc[:shared], bank.iloc[shared + alone :]])
    return {Party.GRID: mine.sample(frac=1, random_state=1), Party.BANK: theirs.sample(frac=1, random_state=2)}


@dataclass
class Companies:
    """Both parties' homes under one folder, kept across jobs."""

    folder: Path
    monthly: bool = False
    policy: Policy = POLICY  # what both parties' have
    own: dict[Party, dict[str, Any]] = field(default_factory=dict)  # what each party's has besides
    memory: int = 1 << 30  # bytes of columns a job may hold
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    columns: dict[Party, dict[str, Any]] = field(default_factory=dict)  # declared ones
    reporters: dict[Party, Recorder] = field(default_factory=dict)
    trio: Trio = field(default_factory=Trio)
    new_trio: Callable[[frozenset[Opened]], Trio] = Trio  # of each job
    consent: dict[Party, ConsentConfig] = field(default_factory=dict)
    match: Callable[[Session], Match] | None = None  # how ids are matched; by default by the neutral process
    desk: Desk | None = None  # what rows are asked at

    def write(self, data: dict[Party, pd.DataFrame]) -> None:
        for party, rows in data.items():
            self.home(party).mkdir(parents=True, exist_ok=True)
            (self.home(party) / Name.TAGS).write_bytes(KEYS[party])
            rows.to_csv(self.dataset(party).path, index=False)

    def home(self, party: Party) -> Path:
        return self.folder / party.value

    def dataset(self, party: Party) -> DatasetConfig:
        raw: dict[str, Any] = {"path": self.home(party) / "rows.csv", "id": "id" if party is Party.GRID else "firm"}
        if self.monthly:
            raw["period"] = "month"
        if party is Party.BANK:
            raw["label"] = "overdue"
        return DatasetConfig.model_validate({**raw, "columns": self.columns.get(party, {})})

    def scratch(self, party: Party) -> Scratch:
        return Scratch(self.home(party) / "scratch", self.memory)

    def models(self, party: Party) -> ModelStore:
        return ModelStore(self.home(party) / "models")

    def stocks(self, party: Party) -> Stocks:
        return Stocks(self.home(party) / "stock", self.home(party) / "spent.sqlite", "wattscore://neutral/coordinator", 64)

    def opened_home(self, party: Party) -> GridHome | BankHome:
        folder, dealer, policy = self.home(party), "wattscore://neutral/coordinator", dict(self.policy)
        policy |= SMALL[party] | self.own.get(party, {})
        if party is Party.GRID:
            return GridHome(folder, dealer, GridPolicy(**policy), MonitorConfig())
        return BankHome(folder, dealer, BankPolicy(**policy), BankMonitorConfig(), self.decision)

    def plan(self, **more: Any) -> TrainPlan | ScorePlan:
        raw: dict[str, Any] = {"grid": {"dataset": "rows"}, "bank": {"dataset": "rows"}}
        raw |= {"keys": ["id", "period"]} if self.monthly else {}
        return make_plan({**raw, **({} if more.get("kind") == "score" else LIMITS), **more}, "plan")

    async def run(self, job: str, plan: TrainPlan | ScorePlan, attempt: int = 0) -> dict[Party, Outcome]:
        """The whole job at both parties and the dealer; raises the first error of any."""
        self.trio = self.new_trio(plan.allowed)
        self.reporters = {party: Recorder() for party in Party}

        async def party(session: Session, correlations: DealtCorrelations) -> Outcome:
            own = session.party
            home = self.opened_home(own)
            if not attempt:
                home.unfinished.begin(job, plan.canonical(), CLIENT)
            course = Course(session, home.unfinished.points(job), attempt)
            await course.agree()
            if course.again:
                home.discard(job)
            return await run(
                PartyJob(
                    job,
                    plan,
                    self.dataset(own),
                    session,
                    correlations,
                    self.reporters[own],
                    home,
                    role_of(home),
                    self.match(session) if self.match else self.trio.neutral.match(own),
                    self.scratch(own),
                    course=course,
                    client=CLIENT,
                    desk=self.desk if own is Party.BANK else None,
                    consents=Consents(self.consent[own], "rows") if own in self.consent else None,
                )
            )

        return await coordinate(self.trio, party, more=dealings(plan, KEPT_BYTES))
