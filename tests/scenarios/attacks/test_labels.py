"""A grid that is after labels: it makes columns and plans to that end, ignores its own floors, and has ten jobs for each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.client.client import Client
from common.party import Party
from tests.extent import extent
from tests.scenarios.attacks.reading import (
    BY_CHANCE,
    JOBS,
    NO_FLOORS,
    forget,
    guesses,
    halves_of,
    held_out,
    spiked,
    targets_of,
    told_apart,
    train,
    weights,
)
from tests.scenarios.end_to_end.lab import Lab, make_plan, make_tables, own, run

MANY = 12  # spikes a job where what is told has to be told from chance


@pytest.fixture(scope="module")
def lab(lab: Lab) -> Lab:
    lab.restart("grid", policy={**NO_FLOORS, "min_columns": 1, "scores_per_row": 1000})
    return lab


@pytest.fixture(scope="module")
def labels(lab: Lab) -> dict[str, float]:
    """The labels of the companies in the table `rows`, which only the bank has."""
    grid, bank = make_tables("R", grid_columns=7)
    lab.write("rows", grid, bank)
    return dict(zip(bank["id"], bank["y"].astype(float), strict=True))


def rewrite(lab: Lab, grid: pd.DataFrame) -> None:
    grid.to_csv(lab.table("grid", "rows"), index=False)


def test_a_spike_of_a_company_tells_nothing_while_nobody_has_its_weight(
    lab: Lab, client: Client, labels: dict[str, float]
) -> None:
    """R1. The weights themselves would tell each label; a share of them is drawn anew in each job and tells none."""
    frame, found, exact, true = make_tables("R", grid_columns=7)[0], list[float](), list[float](), list[float]()
    for job in range(extent(JOBS // 2, JOBS)):
        targets = targets_of(job, sorted(labels), MANY)
        rewrite(lab, spiked(frame, targets))
        forget(lab)
        done = train(client, job)
        assert done.state == "succeeded", done.fault
        assert not {"grid_weights", "bank_weights", "gradients"} & {*done.grid.report.opened, *done.bank.report.opened}
        halves = halves_of(lab, done.id)
        held = held_out(lab, done.id)
        mine, all_ = guesses(halves[Party.GRID]), weights(halves, Party.GRID)
        for k, target in enumerate(targets):
            if target not in held:
                found.append(mine[f"s{k}"])
                exact.append(all_[f"s{k}"])
                true.append(labels[target])
    assert len(true) > extent(30, 60)
    assert told_apart(true, exact) < BY_CHANCE  # else the attack would be none
    assert told_apart(true, found) > BY_CHANCE


SHORT = {"iterations": 1, "step": 16.0, "ridge": 0.0}
EXTREME: list[dict[str, Any]] = [
    {"model": {**SHORT, "reveal": "owners"}, "preparation": {"clip": 1e6}},
    {"model": SHORT, "preparation": {"clip": 1e6}},
    {"model": {"iterations": 1}},
    {"model": {"iterations": 9}},
    {"model": {"step": 16.0}},
    {"model": {"ridge": 0.0}},
    {"preparation": {"clip": 1e6}},
    {"preparation": {"min_binary": 0}},
    {"model": {"reveal": "owners"}},
    {"model": {"weight_bits": 20}},
]


def test_a_training_so_short_that_its_weights_are_sums_over_rows_is_refused(
    lab: Lab, client: Client, labels: dict[str, float]
) -> None:
    """R2. Columns with 2^0 ... 2^5 at six rows: one step would open X^T (p - y), and so six labels a column."""
    frame = make_tables("R", grid_columns=7)[0]
    for k in range(5):
        powers = {target: 2.0**j for j, target in enumerate(targets_of(k, sorted(labels)))}
        frame[f"s{k}"] = frame["id"].map(powers).fillna(0.0)
    rewrite(lab, frame)
    for job, fields in enumerate(EXTREME):
        done = train(client, job, **fields)
        fault = done.fault
        assert (done.state, fault.origin, fault.kind) == ("failed", "bank", "PolicyError"), (fields, fault)
        assert fault.message.startswith("this party's policy does not allow"), fields
        assert not (lab.data("grid") / "models" / done.id).exists()


@pytest.mark.parametrize("reveal", ["none", "owners"])
def test_a_last_batch_of_few_rows_is_refused(lab: Lab, client: Client, labels: dict[str, float], reveal: str) -> None:
    """R3. With a large step and ridge all that is left in the weights is the last batch: its labels."""
    rewrite(lab, make_tables("R", grid_columns=7)[0])
    for job, batch in enumerate((25, 400)):
        model = {"optimiser": "sgd", "batch": batch, "ridge": 10.0, "step": 4.1, "reveal": reveal}
        done = train(client, job, model=model)
        assert (done.state, done.fault.origin, done.fault.kind) == ("failed", "bank", "PolicyError"), done.fault
        assert f"batch = {batch} (at least 1000, and 20 for each column)" in done.fault.message


def combining(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """`frame` with three columns of two groups each, of hundreds of rows; their counts combine to the label of `target`."""
    out, place = frame.copy(), np.arange(len(frame))
    one, two = place % 3 == 0, place % 3 == 1
    mine = (frame["id"] == target).to_numpy()
    out["one"], out["two"] = (one & ~mine).astype(int), (two & ~mine).astype(int)
    out["both"] = (one | two | mine).astype(int)
    return out


def test_counts_by_bin_do_not_combine_to_one_company(lab: Lab, client: Client) -> None:
    """R17. both - one - two is an indicator of the target: the same combination of counts would be its label."""
    (frame, bank), counted, refused = make_tables("W", 3000, grid_columns=3), 0, set[str]()
    for job, target in enumerate(sorted(frame["id"])[100 : 100 + JOBS]):
        lab.write("more", combining(frame, target), bank)
        forget(lab)
        asked = {"grid": {"dataset": "more", "columns": ["one", "two", "both"]}, "preparation": {"coding": "woe", "bins": 2}}
        done = run(client, make_plan("more", split={"seed": job}, **asked))
        if done.state != "succeeded":
            refused.add(done.fault.message)
            continue
        if target in held_out(lab, done.id):  # its label is in no count
            continue
        counted += 1
        told = json.loads((lab.data("grid") / "models" / done.id / "features.json").read_text())
        bins = {column["name"]: column["bins"] for column in told["columns"]}
        known = {name for name in ("one", "two", "both") if all("ones" in cell for cell in bins[name])}
        assert len(known) < 3, known
    assert counted >= 1, refused


def test_opened_weights_tell_no_more_labels_than_the_bank_has_bits_for(
    lab: Lab, client: Client, labels: dict[str, float]
) -> None:
    """R1 and R2 where both policies allow reveal = 'owners': each job is paid for in bits of labels, and few can be."""
    lab.restart("bank", policy={"own_weights": True})
    frame, told, charged = make_tables("R", grid_columns=7)[0], 0, set[str]()
    ids, names = sorted(labels), list[str]()
    for job in range(JOBS):
        targets = targets_of(job, ids)[:2]
        rewrite(lab, spiked(frame[["id", "g0", "g1", "g6"]], targets))
        forget(lab)
        done = train(client, 100 + job, model={"reveal": "owners", "iterations": 10})
        names.append(done.id)
        if done.state != "succeeded":
            assert (done.fault.origin, done.fault.kind) == ("bank", "PolicyError"), done.fault
            charged.add(done.fault.message)
            continue
        mine = weights(halves_of(lab, done.id), Party.GRID)
        told += sum((mine[f"s{k}"] > 0) == labels[target] for k, target in enumerate(targets))
    (book,) = (b for b in json.loads(own(lab, "bank", "budget", "--json"))["budgets"] if b["key"] == "label_bits")
    bits = sum(charge["amount"] for charge in book["charges"] if charge["user"] in names)
    assert told <= bits <= 0.1 * len(labels) and book["most"] <= 0.1
    assert charged == {"the labels of these rows have been told as much of as the bank allows"}
