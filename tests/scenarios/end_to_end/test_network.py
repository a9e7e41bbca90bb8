"""A network through the three daemons: beats a line where columns tell something together, is promoted, scores, goes back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from common.client.client import Client
from common.plan.promote import PromotePlan
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import Lab, make_plan, make_tables, succeed
from tests.scenarios.end_to_end.test_scoring import read_scores, score

NETWORK = {"kind": "network", "epochs": 12, "batch": 256}


@pytest.fixture(scope="module")
def dataset(shared: Lab) -> str:
    """A label that hangs on a product of one column of each side."""
    shared.heal()
    grid, bank = make_tables("Q", 3000, grid_columns=18, bank_columns=4, seed=12)
    both = grid.merge(bank, on="id")
    draw = np.random.default_rng(5)
    u = 1.6 * both["g0"] * both["b0"] + 0.4 * both["g1"] - 0.8
    label = pd.Series((draw.random(len(both)) < 1.0 / (1.0 + np.exp(-u))).astype(int).to_numpy(), index=both["id"])
    shared.write("together", grid, bank.assign(y=bank["id"].map(label)))
    return "together"


@pytest.fixture(scope="module")
def models(shared: Lab, dataset: str) -> tuple[wire.Job, wire.Job]:
    """A line, made the champion, and a network that challenges it."""
    with shared.client() as client:
        line = succeed(client, make_plan(dataset))
        succeed(client, PromotePlan(model=line.id))
        return line, succeed(client, make_plan(dataset, model=NETWORK, challenge=True))


def test_it_ranks_better_than_a_line_where_columns_tell_something_together(models: tuple[wire.Job, wire.Job]) -> None:
    line, network = models
    assert network.bank.report.evaluation.joint.auc > line.bank.report.evaluation.joint.auc + 0.05
    found = network.bank.report.challenge
    assert found.champion == line.id and found.auc_difference.low > 0


def test_nobody_is_told_a_weight(lab: Lab, models: tuple[wire.Job, wire.Job]) -> None:
    network = models[1]
    for side in ("grid", "bank"):
        head = json.loads((lab.data(side) / "models" / network.id / "model.json").read_text())
        assert head["learner"] == "network" and head["closed"]
        assert not {"grid_weights", "bank_weights", "gradients"} & set(getattr(network, side).report.opened)


def test_it_becomes_the_champion_scores_and_goes_back(lab: Lab, client: Client, models: tuple[wire.Job, wire.Job]) -> None:
    network = models[1]
    succeed(client, PromotePlan(model=network.id))
    grid, bank = make_tables("R", 240, grid_columns=18, bank_columns=4, seed=13)
    lab.write("fresh", grid, bank.drop(columns="y"))
    scored = succeed(client, score("champion", "heard", grid_reasons=1))
    found = read_scores(lab, scored.id)
    assert len(found) == 240 and found["u"].astype(float).std() > 0.2
    assert 0 < found["reasons"].str.contains("Falling use").sum() < 240 and "grid_reasons" in scored.grid.report.opened
    succeed(client, PromotePlan(action="rollback"))
    again = succeed(client, score("champion", "fresh"))
    apart = read_scores(lab, again.id)["u"].astype(float) - found["u"].astype(float)
    assert apart.abs().max() > 0.2  # the line's scores, by the same rows


def test_units_that_are_their_sum_or_zero_train_and_score_as_well(lab: Lab, client: Client, dataset: str) -> None:
    trained = succeed(client, make_plan(dataset, model={**NETWORK, "activation": "relu", "seed": 1}, split={"seed": 5}))
    assert trained.bank.report.evaluation.joint.auc > trained.bank.report.evaluation.bank_only.auc + 0.1
    head = json.loads((lab.data("grid") / "models" / trained.id / "model.json").read_text())
    assert head["activation"] == "relu" and head["closed"]
    grid, bank = make_tables("R", 240, grid_columns=18, bank_columns=4, seed=13)
    lab.write("fresh", grid, bank.drop(columns="y"))
    found = read_scores(lab, succeed(client, score(trained.id, "fresh")).id)
    assert len(found) == 240 and found["u"].astype(float).std() > 0.2
