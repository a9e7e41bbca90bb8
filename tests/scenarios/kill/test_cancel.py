"""A job that its client cancels in the midst, whoever deals: nothing of it is left, and the next one is as if it had not been.

No party can cancel a job that a coordinator drives: it refuses what it is offered, or what people deny while it is held.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.client.client import Client
from common.client.like import as_before
from common.config import to_toml
from common.disk.data_folder import Name
from common.home.stocks import Stocks
from common.home.unfinished import DIRECT
from common.mpc.session import Kind
from common.plan.predeal import PredealPlan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.trial.processes import COORDINATOR
from common.wire import coordinator_pb2 as wire
from tests.extent import cases
from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually, make_plan, measured, own
from tests.scenarios.kill.town import DAEMONS, PARTIES, Town, stored, used_twice
from tests.scenarios.online.test_undealt import STEP, charged, exact

WHO = "cancelled by wattscore://try-bank/client"
STEPS = 16
_TOLD = {"reveal": "owners", "weight_bits": 16, "iterations": STEPS}
MODELS: dict[str, dict[str, Any]] = {
    "whole": {"iterations": STEPS},
    "half": {**_TOLD, "dealer": "half"},
    "none": {**_TOLD, "dealer": "none"},
    "taylor": {**_TOLD, "dealer": "none", "link": "taylor"},
    "closed": {"dealer": "none", "link": "taylor"},
}
ALIKE = {"whole": 0.0005, "half": 0.0005, "none": 0.002, "taylor": 0.01, "closed": 0.01}  # of AUC, as a whole dealer's
MASKS = {  # what holds keys, masks and rows of a training
    "common.mpc.session.Session",
    "common.learn.linear.undealt.Undealt",
    "common.mpc.lattice.sampled.Sampler",
    "common.mpc.lattice.rows.OwnRows",
    "common.mpc.lattice.rows.HeldRows",
    "common.mpc.lattice.carries.Carries",
    "common.mpc.lattice.committed.CommittedProducts",
}


def plan_of(dealer: str, **more: Any) -> TrainPlan:
    how = {} if dealer in ("whole", "half") else {"matching": "ecdh"}
    return make_plan("rows", model=MODELS[dealer], score_bits=16, **how, **more)


def succeeds(town: Town, client: Client, plan: Any) -> wire.Job:
    """The job, done in one attempt."""
    found = town.until(client, client.submit(plan).id)
    assert (found.state, found.attempt) == ("succeeded", 0), found.fault.message
    eventually(town.settled)
    return found


def trains(town: Town, client: Client, dealer: str, known: dict[str, float] = {}, **more: Any) -> wire.Job:  # noqa: B006
    """A training whose model is as good as one with a dealer, in a town where nothing was cancelled yet or much was."""
    if not known:
        known["auc"] = measured(town, succeeds(town, client, plan_of("whole"))).joint.auc
    done = succeeds(town, client, plan_of(dealer, **more))
    assert abs(measured(town, done).joint.auc - known["auc"]) <= ALIKE[dealer], dealer
    return done


def files(town: Town) -> set[Path]:
    """What parties have on disk, but for what each attempt was dealt, which serves a dispute and is kept of the newest."""
    found = {path for party in PARTIES for path in town.data(party).rglob("*")}
    passing = ("-wal", "-shm", "-journal")  # beside a book that is open
    return {one for one in found if {Name.DEALT, DIRECT}.isdisjoint(one.parts) and not one.name.endswith(passing)}


def held(town: Town, name: str) -> dict[str, Counter[str]]:
    """What a daemon holds now: objects of jobs, MASKS among them; descriptors; tasks."""
    (said := town.folder / f"{name}.counted").unlink(missing_ok=True)
    town.processes[name].send_signal(signal.SIGUSR1)
    eventually(said.exists, 30.0)
    found = json.loads(said.read_text())
    masks = {one: number for one, number in found["work"].items() if one in MASKS}
    return {"masks": Counter(masks), **{key: Counter(found[key]) for key in ("work", "files", "tasks")}}


def rests(town: Town) -> dict[str, dict[str, Counter[str]]]:
    """What each holds once nothing of a job that is over is left."""
    await_none_left(town, {name: {"masks": Counter()} for name in PARTIES})
    return {name: held(town, name) for name in DAEMONS}


def await_none_left(town: Town, before: dict[str, dict[str, Counter[str]]]) -> None:
    """Until no daemon holds what it did not before."""
    last: list[dict[str, Counter[str]]] = []

    def none() -> bool:
        now = {name: held(town, name) for name in before}
        more = {f"{name} {key}": now[name][key] - count for name in before for key, count in before[name].items()}
        last[:] = [{where: count for where, count in more.items() if count}]
        return not last[0]

    try:
        eventually(none, 30.0)
    except AssertionError:
        raise AssertionError(f"still there: {last}") from None


def is_cancelled(town: Town, client: Client, who: str, when: str, plan: Any, spent: bool = False) -> str:
    """A job of this plan, cancelled as `who` is about to send this array: all say by whom, and none has anything of it.

    spent: whether what is gone with it is a stock of each party.
    """
    client.jobs()  # so that its connection counts among what was there before
    before, on_disk, shelves = rests(town), files(town), {party: stored(town, party) for party in PARTIES}
    with town.held(who, when, lambda: client.submit(plan).id) as job:
        assert client.show(job).state == "running"
        assert held(town, who)["masks"], "nothing that could stay is there"
        ended = client.cancel(job)
        assert (ended.state, ended.fault.kind, ended.fault.message) == ("cancelled", "JobCancelled", WHO)
    eventually(town.settled)
    for party in PARTIES:
        eventually(lambda party=party: f"job {job} ended: {WHO}" in town.written(party))  # type: ignore[misc]
        (told,) = json.loads(own(town, party, "jobs", job, "--json"))
        assert (told["state"], told["cause"]) == ("failed", WHO)
        entries = [json.loads(line) for line in own(town, party, "audit", "show", "--job", job).splitlines()]
        assert [one["error"] for one in entries if one["what"] == "end"] == ["JobCancelled"]
        now = stored(town, party)
        gone = shelves[party].pop("stock"), now.pop("stock")
        assert now == shelves[party] and gone == ((gone[0], []) if spent else (gone[0], gone[0]))
    assert client.show(job).state == "cancelled"
    await_none_left(town, before)
    assert files(town) <= on_disk, sorted(files(town) - on_disk)
    return job


AT: dict[str, list[tuple[str, Kind, int]]] = {  # where trainings are cancelled: over the rows, then in their steps
    "whole": [("bank", Kind.MASKED_MATRIX, 1), ("grid", Kind.MASKED_WEIGHTS, 13)],
    "half": [("grid", Kind.LATTICE_MATRIX, 5), ("bank", Kind.LATTICE_RESIDUAL, 13)],
    "none": [("bank", Kind.LATTICE_MATRIX, 5), ("grid", Kind.LATTICE_PHASORS, 17)],
    "taylor": [("bank", Kind.LATTICE_MATRIX, 2), ("grid", Kind.LATTICE_WEIGHTS, 8)],
    "closed": [("grid", Kind.LATTICE_BITS, 2), ("bank", Kind.LATTICE_MODEL, 1)],
}


Trained = Callable[[str], wire.Job]


@pytest.fixture(scope="module")
def trained(town: Town) -> Trained:
    """The first training of each kind here: a row may be scored by 18 models, so there are no more than are needed."""

    @cache
    def first(dealer: str) -> wire.Job:
        with town.client() as client:
            return trains(town, client, dealer)

    return first


HALVES = "trainings with a dealer and those with none, whose parts a half-dealt one has"


@pytest.mark.parametrize("dealer", cases(["whole", "none", "closed"], ["half", "taylor"], HALVES))
def test_of_a_training_that_is_cancelled_nothing_is_left(town: Town, client: Client, trained: Trained, dealer: str) -> None:
    trained(dealer)
    for who, kind, number in AT[dealer]:
        is_cancelled(town, client, who, f"{kind.value} {number}", plan_of(dealer))
    trains(town, client, dealer)
    if dealer in STOCKED:
        trains(town, client, "whole")


STOCKED = {"half": ("bank", Kind.LATTICE_MATRIX, 5), "none": ("grid", Kind.MASKED_U, 10)}


@pytest.mark.parametrize("dealer", cases(["none"], ["half"], HALVES))
def test_a_stock_that_a_cancelled_training_has_taken_is_spent_at_both(
    town: Town, client: Client, trained: Trained, dealer: str
) -> None:
    spent = {party: shelf(town, party).position for party in PARTIES}
    stock = stock_of(trained(dealer), dealer)
    made = succeeds(town, client, stock)
    assert all(shelf(town, party).holds(made.id) for party in PARTIES)
    who, kind, number = STOCKED[dealer]
    plan = plan_of(dealer, dealt="ahead")
    job = is_cancelled(town, client, who, f"{kind.value} {number}", plan, spent=True)
    for party in PARTIES:
        assert not shelf(town, party).unspent() and shelf(town, party).position == spent[party] + 1
        entries = [json.loads(line) for line in own(town, party, "audit", "show", "--job", job).splitlines()]
        assert [one["stock"] for one in entries if one["what"] == "take"] == [made.id]
    refused = town.until(client, client.submit(plan).id)
    assert refused.state == "failed" and "no unspent stock for this plan" in refused.fault.message
    succeeds(town, client, stock)
    trains(town, client, dealer, dealt="ahead")


def test_of_a_stock_that_is_cancelled_while_both_make_it_nothing_is_left(town: Town, client: Client, trained: Trained) -> None:
    """By the client; and by the bank, whose command is told to end, where no coordinator drives it."""
    stock = stock_of(trained("none"), "none")
    is_cancelled(town, client, "grid", f"{Kind.LATTICE_PHASORS.value} 9", stock)
    is_cancelled(town, client, "bank", f"{Kind.LATTICE_REPLY.value} 9", stock)
    file, kept, on_disk = town.folder / "ahead.toml", rests(town), files(town)
    plan = plan_of("none", dealt="ahead")
    file.write_text(to_toml(plan.model_dump(mode="json", exclude_none=True)))
    sizes = {"--rows": stock.rows, "--grid": stock.grid_columns, "--bank": stock.bank_columns}
    words = ["predeal", str(file), *(str(word) for pair in sizes.items() for word in pair)]
    process = [sys.executable, "-m", "bank_party", *words, "--config", str(town.folder / "bank.toml")]

    def begun() -> str:
        command.append(subprocess.Popen(process, stderr=subprocess.PIPE, text=True))
        return ""

    command: list[subprocess.Popen[str]] = []
    with town.held("grid", f"{Kind.LATTICE_PHASORS.value} 9", begun):
        command[0].send_signal(signal.SIGINT)
        _, said = command[0].communicate(timeout=patience(30))
    assert command[0].returncode != 0, said
    eventually(town.settled)
    assert files(town) <= on_disk, sorted(files(town) - on_disk)
    await_none_left(town, kept)
    own(town, "bank", *words)
    trains(town, client, "none", dealt="ahead")


def test_rows_that_a_cancelled_scoring_was_charged_for_are_charged_once(town: Town, client: Client, trained: Trained) -> None:
    model = trained("closed").id
    sides = {side: {"dataset": "rows"} for side in PARTIES}
    plan = ScorePlan.model_validate({**sides, "model": model, "dealer": "none", "matching": "ecdh"})
    assert charged(town, model) == 720  # those that its training held out
    for who in PARTIES:
        job = is_cancelled(town, client, who, f"{Kind.LATTICE_ROWS.value} 1", plan)
        assert charged(town, model) == 2400
        assert not (town.data("bank") / Name.SCORES / f"{job}.csv").exists()
    found, u = scores(town, succeeds(town, client, plan).id), exact(town, model, "rows")
    assert charged(town, model) == 2400
    assert sorted(found.index) == sorted(u.index) and np.ptp(found) > 10 * STEP
    assert np.abs(found - u[found.index]).max() < 1.6 * STEP + 0.02


def stock_of(like: wire.Job, dealer: str) -> PredealPlan:
    """For trainings as this one."""
    return PredealPlan.model_validate({**as_before(like), "model": MODELS[dealer]})


def shelf(town: Town, party: str) -> Stocks:
    return Stocks(town.data(party) / Name.STOCK, town.data(party) / Name.SPENT, str(COORDINATOR), 1 << 20)


def scores(town: Town, job: str) -> pd.Series[float]:
    return pd.read_csv(town.data("bank") / Name.SCORES / f"{job}.csv", index_col="id")["u"]


def test_no_mask_or_seed_has_served_twice(town: Town) -> None:
    assert used_twice(town) == []
