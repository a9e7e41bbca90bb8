"""A refill of stocks: as many as are wanted, in its hours, and none twice where an earlier call was killed."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from bank_party.__main__ import main
from bank_party.home import BankHome
from bank_party.online import refill as module
from bank_party.online.config import OnlineConfig, RefillConfig
from bank_party.online.refill import NAME, Refilled, refill
from common.errors import JobStateError, PolicyError
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan
from common.plan.train import TrainPlan
from common.wire import coordinator_pb2 as wire
from tests.bank_party.test_main import config

OWN = Identity("acme", "bank-party")
FOUND = RefillConfig(client=Path("client.toml"), rows=500, stocks=3)
ONLINE = cast(Any, OnlineConfig).model_construct(model="train-1", stock_rows=1, refill=FOUND)


class Coordinator:
    """Deals at once what it is asked to; `waiting`: the rows of each stock at the bank."""

    def __init__(self) -> None:
        self.listed: list[wire.Job] = []
        self.waiting: list[int] = []
        self.fate = "succeeded"
        trained = wire.Job(id="train-1", kind="train", state="succeeded")
        trained.plan = TrainPlan.model_validate({"grid": {"dataset": "g"}, "bank": {"dataset": "b"}}).canonical()
        trained.grid.report.counts.trained_columns, trained.bank.report.counts.trained_columns = 7, 4
        self.trained = trained

    def show(self, job: str) -> wire.Job:
        assert job == "train-1"
        return self.trained

    def submit(self, plan: AnyPlan) -> wire.Job:
        assert isinstance(plan, PredealPlan)
        assert (plan.serves, plan.rows, plan.grid_columns, plan.bank_columns) == ("scores", 500, 7, 4)
        assert plan.bank_named == OWN
        job = wire.Job(id=f"predeal-{len(self.listed)}", name=plan.name, kind="predeal", state=self.fate)
        if self.fate == "failed":
            job.fault.kind, job.fault.message = "PolicyError", "no room (stock_mib)"
        self.listed.append(job)
        if self.fate == "succeeded":
            self.waiting.append(plan.rows)
        return job

    def jobs(self, *, last: int = 0, kind: str = "") -> list[wire.Job]:
        return [job for job in self.listed if job.kind == kind][-last:]

    def watch(self, job: str) -> Generator[wire.Job]:
        found = next(one for one in self.listed if one.id == job)
        if found.state == "running":
            found.state = "succeeded"
            self.waiting.append(500)
        yield found


@pytest.fixture
def coordinator(monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    made = Coordinator()
    monkeypatch.setattr(module, "stocks_waiting", lambda home, job, rows: [size for size in made.waiting if size >= rows])
    return made


def fill(coordinator: Coordinator, *, may: bool = True) -> Refilled:
    return refill(cast(BankHome, None), ONLINE, FOUND, coordinator, lambda: may, OWN)


def test_as_many_are_dealt_as_are_missing(coordinator: Coordinator) -> None:
    coordinator.waiting = [500, 20]  # one is too small for what is wanted
    assert fill(coordinator) == Refilled(2, [500, 500, 500])
    assert fill(coordinator) == Refilled(0, [500, 500, 500])
    assert len(coordinator.listed) == 2


def test_none_is_begun_outside_the_hours(coordinator: Coordinator) -> None:
    assert fill(coordinator, may=False) == Refilled(0, [], late=True)
    assert coordinator.listed == []


def test_a_job_of_a_call_that_was_killed_is_waited_for_and_counts(coordinator: Coordinator) -> None:
    coordinator.listed = [wire.Job(id="predeal-9", name=NAME, kind="predeal", state="running")]
    assert fill(coordinator) == Refilled(2, [500, 500, 500])
    assert len(coordinator.listed) == 3


def test_a_party_without_room_ends_it_with_its_cause(coordinator: Coordinator) -> None:
    coordinator.fate = "failed"
    with pytest.raises(PolicyError, match="no room"):
        fill(coordinator)
    assert len(coordinator.listed) == 1


def test_a_job_that_waits_for_people_and_stocks_that_go_elsewhere_end_it(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator.fate = "held"
    with pytest.raises(JobStateError, match="predeal-0 waits for people"):
        fill(coordinator)
    coordinator.fate = "succeeded"
    coordinator.listed.clear()
    monkeypatch.setattr(module, "stocks_waiting", lambda home, job, rows: [])
    with pytest.raises(JobStateError, match="7 stocks were dealt, of which 0 are here"):
        fill(coordinator)


def test_a_model_that_needs_none_gets_none(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stocks_waiting", lambda home, job, rows: None)
    assert fill(coordinator) == Refilled(0, [])


@pytest.mark.parametrize(
    ("between", "open_", "shut"),
    [
        ("22:00-06:00", [(22, 0), (23, 59), (0, 0), (5, 59)], [(6, 0), (12, 0), (21, 59)]),
        ("01:30-04:00", [(1, 30), (3, 59)], [(1, 29), (4, 0), (23, 0)]),
    ],
)
def test_hours_may_end_on_the_next_day(between: str, open_: list[tuple[int, int]], shut: list[tuple[int, int]]) -> None:
    found = RefillConfig(client=Path("c"), rows=1, between=between)
    assert all(found.open_at(*at) for at in open_) and not any(found.open_at(*at) for at in shut)


@pytest.mark.parametrize("between", ["22-06", "25:00-06:00", "22:00", "22:00-06:61"])
def test_hours_that_are_none_are_refused(between: str) -> None:
    with pytest.raises(ValueError, match="between"):
        RefillConfig(client=Path("c"), rows=1, between=between)


def test_a_bank_without_the_section_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["refill", "--config", str(config(tmp_path))])
    assert done.exit_code == 2 and "there is no [online.refill]" in done.output
