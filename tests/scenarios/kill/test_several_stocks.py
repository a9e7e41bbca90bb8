"""Stocks of a grid with several banks: a training with one bank takes that bank's, and a kill costs that one at most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.client.client import Client
from common.client.like import as_before
from common.mpc.session import Kind
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan
from common.plan.train import TrainPlan
from common.trial.processes import BANK, more_bank
from common.wire import coordinator_pb2 as wire
from tests.extent import cases
from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually
from tests.scenarios.end_to_end.several import synthetic
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.test_several import BANK_POLICY, GRID_POLICY
from tests.scenarios.kill.town import Disturbed, charges, stored, used_twice

BANKS = {"bank": BANK, "bank-2": more_bank("bank-2")}
SIDES = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "limits": {"min_matched": 300}, "model": {"iterations": 12}}


class Quarter(Disturbed):
    """A grid, two banks and a coordinator."""

    daemons = ("coordinator", "grid", *BANKS)
    links = ("grid-coordinator", *(f"{name}-{whom}" for name in BANKS for whom in ("coordinator", "grid")))


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarter]:
    folder: Path = tmp_path_factory.mktemp("quarter")
    world = synthetic(folder, (1500, 1600), noise=12)  # half as many models may score a row as the grid has columns
    settings = {name: {"policy": BANK_POLICY} for name in BANKS} | {"grid": {"policy": GRID_POLICY}}
    settings["coordinator"] = {"attend_timeout": patience(20)}
    with Lines() as lines:
        (town := Quarter(folder, world.datasets, settings)).lines = lines
        with town:
            yield town


def training(name: str, dealt: str = "online") -> TrainPlan:
    return TrainPlan.model_validate({**SIDES, "with_bank": str(BANKS[name]), "dealt": dealt})


def done(town: Quarter, client: Client, plan: AnyPlan, attempt: int = 0) -> wire.Job:
    found = town.until(client, client.submit(plan).id)
    assert (found.state, found.attempt) == ("succeeded", attempt), found.fault.message
    eventually(town.settled)
    return found


def stocks(town: Quarter) -> dict[str, list[str]]:
    return {name: stored(town, name)["stock"] for name in town.parties}


@pytest.mark.parametrize("killed", cases(["grid"], ["bank-2"], "the grid, which spends a stock of the same two"))
def test_a_kill_between_the_spending_and_the_first_masked_array_costs_that_stock_alone(quarter: Quarter, killed: str) -> None:
    with quarter.client() as client:
        dealt = {}
        for name in BANKS:
            like = as_before(done(quarter, client, training(name)))
            dealt[name] = done(quarter, client, PredealPlan.model_validate(like)).id
        held = stocks(quarter)
        for name in BANKS:
            assert dealt[name] in held[name] and set(held[name]) <= set(held["grid"])
        quarter.tell(killed, "kill", f"{Kind.STOCK.value} {3 if killed == 'grid' else 4}")
        found = done(quarter, client, training("bank-2", "ahead"), attempt=1)
        assert [life for life in (quarter.folder / f"{killed}.killed").read_text().splitlines() if Kind.STOCK.value in life]
        left = stocks(quarter)
        assert left["bank"] == held["bank"] and len(left["bank-2"]) == len(held["bank-2"]) - 1
        assert sorted(left["grid"]) == sorted([*left["bank"], *left["bank-2"]])
        assert max(charges(quarter.data("bank-2"), found.id).values()) == 1 and not charges(quarter.data("bank"), found.id)
        done(quarter, client, training("bank", "ahead"))
        after = stocks(quarter)
        assert len(after["bank"]) == len(held["bank"]) - 1 and after["bank-2"] == left["bank-2"]
        assert sorted(after["grid"]) == sorted([*after["bank"], *after["bank-2"]])
    assert used_twice(quarter) == []
