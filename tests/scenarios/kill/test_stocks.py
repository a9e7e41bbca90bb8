"""A party that is killed while a stock is agreed on loses none, and one that may have sent a word of it never uses it again."""

from __future__ import annotations

import pytest

from common.client.client import Client
from common.client.like import as_before
from common.mpc.session import Kind
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import eventually, make_plan
from tests.scenarios.kill.town import PARTIES, Town, faults, stored

MODEL = {"iterations": 8}
ONLINE = make_plan("rows", model=MODEL)
AHEAD = ONLINE.model_copy(update={"dealt": "ahead"})
SUBMITTED: list[str] = []  # of this module's town
FAILED: list[str] = []


def done(town: Town, client: Client, plan: AnyPlan, attempt: int = 0) -> wire.Job:
    SUBMITTED.append(job := client.submit(plan).id)
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", attempt), found.fault.message
    eventually(town.settled)
    return found


def stocks(town: Town) -> dict[str, list[str]]:
    return {party: stored(town, party)["stock"] for party in PARTIES}


def dealt(town: Town, client: Client) -> str:
    """A stock that serves such a training."""
    like = as_before(done(town, client, ONLINE))
    return done(town, client, PredealPlan.model_validate({**like, "model": MODEL})).id


@pytest.mark.parametrize(
    ("name", "before"),
    [("bank", 1), ("bank", 2), ("bank", 3), ("grid", 1), ("grid", 2)],
    ids=["bank-lists", "bank-names", "bank-has", "grid-lists", "grid-has"],
)
def test_a_party_killed_before_both_have_said_that_they_have_a_stock_loses_none(
    town: Town, client: Client, name: str, before: int
) -> None:
    stock = next(iter(stocks(town)["grid"]), "") or dealt(town, client)
    killed = town.folder / f"{name}.killed"
    lives = len(killed.read_text().splitlines()) if killed.exists() else 0
    town.tell(name, "kill", f"{Kind.STOCK.value} {before}")
    done(town, client, AHEAD, attempt=1)  # it goes on with what is dealt then
    assert len(killed.read_text().splitlines()) == lives + 1
    assert stocks(town) == {"grid": [stock], "bank": [stock]}
    assert not faults(town, client, SUBMITTED, FAILED)


@pytest.mark.parametrize(("name", "before"), [("bank", 4), ("grid", 3)], ids=["bank", "grid"])
def test_a_party_killed_once_it_has_spent_a_stock_and_before_it_says_so_loses_that_one_alone(
    town: Town, client: Client, name: str, before: int
) -> None:
    """Neither has masked anything by it, and neither will."""
    for _ in range(2 - len(stocks(town)["grid"])):
        dealt(town, client)
    held = stocks(town)
    assert len(held["grid"]) == 2 and held["grid"] == held["bank"]
    town.tell(name, "kill", f"{Kind.STOCK.value} {before}")
    done(town, client, AHEAD, attempt=1)  # it goes on with what is dealt then
    left = stocks(town)
    assert len(left["grid"]) == 1 and left["grid"] == left["bank"] and set(left["grid"]) < set(held["grid"])
    assert not faults(town, client, SUBMITTED, FAILED)


def test_the_next_job_takes_what_others_gave_back_and_a_killed_one_that_had_used_it_up_did_so_for_good(
    town: Town, client: Client
) -> None:
    if not stocks(town)["bank"]:
        dealt(town, client)
    done(town, client, AHEAD)
    assert stocks(town) == {"grid": [], "bank": []}
    dealt(town, client)
    town.tell("bank", "kill", f"{Kind.MASKED_MATRIX.value} 1")
    done(town, client, AHEAD, attempt=1)
    assert stocks(town) == {"grid": [], "bank": []}  # neither masks before the other has spent it
    SUBMITTED.append(job := client.submit(AHEAD).id)
    FAILED.append(job)
    found = town.until(client, job)
    assert found.state == "failed" and "stock" in found.fault.message, found.fault.message
    assert not faults(town, client, SUBMITTED, FAILED)
