"""A refill of stocks: as many as are wanted, in its hours, and none twice where an earlier call was killed."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from bank_party.__main__ import main
from bank_party.home import BankHome
from bank_party.online import refill as module
from bank_party.online.config import OnlineConfig, RefillConfig
from bank_party.online.refill import Refilled, name_of, refill
from common.errors import JobStateError, PolicyError
from common.home.models import CHAMPION
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan
from common.plan.train import TrainPlan
from common.wire import coordinator_pb2 as wire
from tests.bank_party.test_main import config

OWN, OTHER = Identity("acme", "bank-party"), Identity("north", "bank-party")
NAME = name_of(OWN)
FOUND = RefillConfig(client=Path("client.toml"), rows=500, stocks=3)
ONLINE = cast(Any, OnlineConfig).model_construct(model="train-1", stock_rows=1, refill=FOUND)


class Coordinator:
    """Deals at once what it is asked to; `waiting`: the rows of each stock at the bank."""

    def __init__(self) -> None:
        self.listed: list[wire.Job] = []
        self.waiting: list[int] = []
        self.fate = "succeeded"
        self.made: dict[str, wire.Job] = {}  # by the ids of requests
        self.killed = self.late = False  # whether the next call is, once it has sent; and its request comes beside another
        self.on_its_way: tuple[AnyPlan, str] | None = None
        trained = wire.Job(id="train-1", kind="train", state="succeeded")
        trained.plan = TrainPlan.model_validate({"grid": {"dataset": "g"}, "bank": {"dataset": "b"}}).canonical()
        trained.grid.report.counts.trained_columns, trained.bank.report.counts.trained_columns = 7, 4
        self.trained = trained

    def show(self, job: str) -> wire.Job:
        assert job == "train-1"
        return self.trained

    def submit(self, plan: AnyPlan, submission: str = "") -> wire.Job:
        if self.killed:
            self.killed, self.on_its_way = False, (plan, submission)
            raise KeyboardInterrupt
        if self.late:
            self.arrive()
        if submission in self.made:  # as the coordinator's board does
            return self.made[submission]
        assert isinstance(plan, PredealPlan) and re.fullmatch("[0-9a-f]{64}", submission)
        assert (plan.serves, plan.rows, plan.grid_columns, plan.bank_columns) == ("scores", 500, 7, 4)
        assert plan.bank_named == OWN
        job = wire.Job(id=f"predeal-{len(self.listed)}", name=plan.name, kind="predeal", state=self.fate)
        if self.fate == "failed":
            job.fault.kind, job.fault.message = "PolicyError", "no room (stock_mib)"
        self.listed.append(job)
        self.made[submission] = job
        if self.fate == "succeeded":
            self.waiting.append(plan.rows)
        return job

    def arrive(self) -> None:
        """The request of a call that was killed comes in after all."""
        (sent, self.on_its_way), self.late = (self.on_its_way, None), False
        assert sent is not None
        self.submit(*sent)

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
    monkeypatch.setattr(
        module, "stocks_waiting", lambda home, job, rows, texts: [size for size in made.waiting if size >= rows]
    )
    return made


def fill(coordinator: Coordinator, *, may: bool = True) -> Refilled:
    return refill(cast(BankHome, None), ONLINE, FOUND, coordinator, lambda: may, OWN)


def test_as_many_are_dealt_as_are_missing(coordinator: Coordinator) -> None:
    coordinator.waiting = [500, 20]  # one is too small for what is wanted
    assert fill(coordinator) == Refilled(2, [500, 500, 500])
    assert fill(coordinator) == Refilled(0, [500, 500, 500])
    assert len(coordinator.listed) == 2


def test_after_a_promotion_meanwhile_they_are_dealt_for_the_new_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were for the old one until there were as many of these as are wanted, in a night of such work."""
    home: Any = SimpleNamespace(registry=SimpleNamespace(champion="train-1"))
    columns, dealt = {"train-1": 7, "train-2": 9}, list[int]()

    class Promoting(Coordinator):
        def show(self, job: str) -> wire.Job:
            self.trained.grid.report.counts.trained_columns = columns[job]
            return self.trained

        def submit(self, plan: AnyPlan, submission: str = "") -> wire.Job:
            assert isinstance(plan, PredealPlan)
            dealt.append(plan.grid_columns)
            home.registry.champion = "train-2"
            return wire.Job(id=f"predeal-{len(dealt)}", kind="predeal", state="succeeded")

        def watch(self, job: str) -> Generator[wire.Job]:
            yield wire.Job(id=job, kind="predeal", state="succeeded")

    def waiting(_: Any, job: str, rows: int, texts: int) -> list[int]:
        return [rows for count in dealt if count == columns[job]]

    monkeypatch.setattr(module, "stocks_waiting", waiting)
    online = ONLINE.model_copy(update={"model": CHAMPION})
    assert refill(home, online, FOUND, Promoting(), lambda: True, OWN) == Refilled(4, [500, 500, 500])
    assert dealt == [7, 9, 9, 9]


def test_none_is_begun_outside_the_hours(coordinator: Coordinator) -> None:
    assert fill(coordinator, may=False) == Refilled(0, [], late=True)
    assert coordinator.listed == []


def test_a_job_of_a_call_that_was_killed_is_waited_for_and_counts(coordinator: Coordinator) -> None:
    coordinator.listed = [wire.Job(id="predeal-9", name=NAME, kind="predeal", state="running")]
    assert fill(coordinator) == Refilled(2, [500, 500, 500])
    assert len(coordinator.listed) == 3


def refilled(coordinator: Coordinator, when: str) -> None:
    """A call after one that was killed makes three stocks and no more, whenever what that one asked for comes in."""
    if when == "before":
        coordinator.arrive()
    coordinator.late = when == "beside"
    assert fill(coordinator).waiting == [500] * 3
    if when == "after":
        coordinator.arrive()
    assert len(coordinator.waiting) == 3 and coordinator.on_its_way is None


@pytest.mark.parametrize("when", ["before", "beside", "after"])
@pytest.mark.parametrize("dealt", [0, 1])
def test_a_request_of_a_killed_call_that_is_still_on_its_way_makes_no_stock_too_many(
    coordinator: Coordinator, when: str, dealt: int
) -> None:
    """Whether it comes in before the next call looks, once it has looked, or after it is through."""
    coordinator.waiting = [500] * dealt
    coordinator.listed = [wire.Job(id=f"predeal-old-{k}", name=NAME, kind="predeal", state="failed") for k in range(dealt)]
    coordinator.killed = True
    with pytest.raises(KeyboardInterrupt):
        fill(coordinator)
    refilled(coordinator, when)
    coordinator.waiting.pop()  # one is used up: what follows is a new one
    assert fill(coordinator) == Refilled(1, [500] * 3)


@pytest.mark.parametrize("when", ["before", "beside", "after"])
def test_another_banks_refill_since_a_call_was_killed_makes_no_stock_too_many(coordinator: Coordinator, when: str) -> None:
    coordinator.killed = True
    with pytest.raises(KeyboardInterrupt):
        fill(coordinator)
    coordinator.listed.append(wire.Job(id="predeal-north", name=name_of(OTHER), kind="predeal", state="succeeded"))
    refilled(coordinator, when)


def test_a_refill_goes_on_from_the_last_one_whatever_was_dealt_by_hand_since(coordinator: Coordinator) -> None:
    assert fill(coordinator).dealt == 3
    coordinator.listed += [wire.Job(id=f"by-hand-{k}", kind="predeal", state="succeeded") for k in range(module._LOOK)]
    del coordinator.waiting[1:]
    assert fill(coordinator) == Refilled(2, [500] * 3)


def test_two_calls_at_once_deal_what_one_would(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, inner = coordinator.watch, list[Refilled]()

    def watched(job: str) -> Generator[wire.Job]:
        if not inner:
            inner.append(Refilled(0, []))
            coordinator.listed[-1].state = "running"  # while the first call waits for its job, another one begins
            coordinator.waiting.pop()
            inner[0] = fill(coordinator)
        return watch(job)

    monkeypatch.setattr(coordinator, "watch", watched)
    assert fill(coordinator).waiting == [500] * 3 and inner[0].waiting == [500] * 3
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
    coordinator.made.clear()
    monkeypatch.setattr(module, "stocks_waiting", lambda home, job, rows, texts: [])
    with pytest.raises(JobStateError, match="7 stocks were dealt, of which 0 are here"):
        fill(coordinator)


def test_a_model_that_needs_none_gets_none(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stocks_waiting", lambda home, job, rows, texts: None)
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
