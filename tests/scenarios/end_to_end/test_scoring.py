"""Scoring new rows with a trained model: to the bank only, within the grid's budget."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bank_party.decision import bundle
from common.client.client import Client
from common.home.models import ModelStore
from common.party import Party
from common.plan.score import ScorePlan
from common.rows.dataset import DatasetConfig, read_table
from common.wire import coordinator_pb2 as wire
from grid_party.settings import GridPolicy
from tests.common.stages.plain import OFF, STEP, plain_part, weights_of
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, fail, make_plan, make_tables, run, succeed

NEW = 300
THRESHOLD = GridPolicy().reason_threshold


@pytest.fixture(scope="module")
def model(shared: Lab) -> str:
    shared.heal()
    with shared.client() as client:
        return succeed(client, make_plan("spare")).id


@pytest.fixture(scope="module")
def scored(shared: Lab, model: str) -> wire.Job:
    """New companies, the bank's table without labels, each side with some that the other lacks."""
    grid, bank = make_tables("N", NEW + 40, seed=9)
    keep = sorted(grid["id"])
    shared.write("new", grid[~grid["id"].isin(keep[:20])], bank[~bank["id"].isin(keep[-20:])].drop(columns="y"))
    with shared.client() as client:
        return succeed(client, score(model, "new"))


def score(model: str, dataset: str, **fields: object) -> ScorePlan:
    side = {"dataset": dataset}
    return ScorePlan.model_validate({"model": model, "grid": side, "bank": side, **fields})


def read_scores(lab: Lab, job: str) -> pd.DataFrame:
    return pd.read_csv(lab.data("bank") / "scores" / f"{job}.csv", keep_default_na=False).set_index("id").sort_index()


def in_the_clear(lab: Lab, model: str, dataset: str) -> pd.Series[float]:
    """u of each company that both sides hold, from both halves of the model, as nobody could in production."""
    parts = []
    halves = {party: ModelStore(lab.data(party.value) / "models").load(model) for party in Party}
    for party, half in halves.items():
        config = DatasetConfig.model_validate(lab._datasets[party.value][dataset])
        table = read_table(config.model_copy(update={"columns": half.source}), name=dataset, party=party).table
        parts.append(pd.Series(plain_part(halves, party, table), index=list(table.ids)))
    joined = pd.concat(parts, axis=1, join="inner").sum(axis=1)
    return joined.sort_index()


def test_the_bank_finds_the_scores_of_the_common_companies(scored: wire.Job, model: str, lab: Lab) -> None:
    found, exact = read_scores(lab, scored.id), in_the_clear(lab, model, "new")
    assert list(found.index) == list(exact.index) and len(found) == NEW
    assert np.abs(found["u"] - exact).max() <= OFF
    assert found["u"].std() > 0.3


def test_the_bank_finds_calibrated_probabilities_scores_grades_and_decisions(scored: wire.Job, model: str, lab: Lab) -> None:
    found = read_scores(lab, scored.id)
    folder = lab.data("bank") / "models" / model
    held = bundle.load(model, folder)
    assert len(held.ids) == 450 and {f.stat().st_mode & 0o777 for f in folder.iterdir()} == {0o600}
    line = held.decision.calibration
    assert np.allclose(found["probability"], 1.0 / (1.0 + np.exp(-line.slope * found["u"] - line.intercept)))
    exact = 600 + 20 * np.log2((1 / found["probability"] - 1) / 50)
    assert (found["score"] == np.rint(exact)).all()
    assert found.groupby("grade")["score"].max().is_monotonic_decreasing
    assert set(found["decision"]) == {"approve", "refer", "decline"}
    assert set(found["reasons"].str.split("; ").explode()) == {"", "b0", "b1", "b2"}


def test_the_grids_reasons_are_told_where_both_policies_allow_of_a_closed_model_as_of_an_opened_one(
    lab: Lab, client: Client, model: str, scored: wire.Job
) -> None:
    assert json.loads((lab.data("grid") / "models" / model / "model.json").read_text())["closed"]
    said = {model: told_reasons(lab, client, model)}
    assert fail(client, score(model, "spoken", grid_reasons=2))[1] == "PolicyError"
    for name, policy in (
        ("grid", GRID_POLICY),
        ("bank", {**BANK_POLICY, "label_bits": 2.0}),
    ):  # and other tests have told of these rows
        lab.restart(name, policy={**policy, "own_weights": True})
    opened = succeed(client, make_plan("main", model={"reveal": "owners"})).id
    said[opened] = told_reasons(lab, client, opened)
    for job, told in said.items():
        plain = falling_use(lab, job).loc[told.index]
        assert (told == (plain > THRESHOLD))[(plain - THRESHOLD).abs() > 2.0**-8].all(), job


def falling_use(lab: Lab, model: str) -> pd.Series[float]:
    """What the one column with a text adds to u of each company: from both halves, as nobody could in production."""
    halves = {party: ModelStore(lab.data(party.value) / "models").load(model) for party in Party}
    grid = halves[Party.GRID]
    config = DatasetConfig.model_validate(lab._datasets["grid"]["new"])
    table = read_table(config.model_copy(update={"columns": grid.source}), name="new", party=Party.GRID).table
    named = np.array([column.source == "g0" for column in grid.fitted.fitted])
    part = grid.fitted.transform(table)[:, named] @ weights_of(halves, Party.GRID)[named]
    return pd.Series(part, index=list(table.ids))


def told_reasons(lab: Lab, client: Client, model: str) -> pd.Series:
    """Of each row of `spoken`, whether the grid's one reason is told; the bank's reasons and the scores stay what they are."""
    before = read_scores(lab, succeed(client, score(model, "spoken")).id)
    job = succeed(client, score(model, "spoken", grid_reasons=1))
    assert "grid_reasons" in job.grid.report.opened and "grid_reasons" in job.bank.report.opened
    found = read_scores(lab, job.id)
    said = found["reasons"].str.contains("Falling use")
    assert 0 < said.sum() < NEW and (found["reasons"][~said] == before["reasons"][~said]).all()
    assert (found["u"] - before["u"]).abs().max() <= STEP  # shares round at random
    assert found["u"][said].mean() > found["u"][~said].mean()
    return said


def test_the_grid_gets_no_scores_and_nobody_metrics(scored: wire.Job, model: str, lab: Lab) -> None:
    assert not list(lab.data("grid").rglob("*.csv")) and not (lab.data("grid") / "scores").exists()
    opened = set(scored.grid.report.opened) | set(scored.bank.report.opened)
    assert opened == {o.value for o in score(model, "new").needs} - {"drift"}  # of so few rows it stays where it is
    assert not scored.bank.report.HasField("evaluation")
    assert scored.bank.report.counts.matched_rows == NEW


def test_finer_scores_are_a_matter_of_both_plan_and_policy(client: Client, lab: Lab, model: str, scored: wire.Job) -> None:
    found = read_scores(lab, succeed(client, score(model, "new", score_bits=10)).id)
    assert np.abs(found["u"] - in_the_clear(lab, model, "new")).max() <= 1.5 * 2.0**-10 + 0.005
    origin, kind, message = fail(client, score(model, "new", score_bits=11))
    assert (origin, kind) == ("bank", "PolicyError") and "score_bits = 11 (at most 10)" in message


def test_the_same_model_read_again_gives_the_same_scores_but_for_a_step(
    client: Client, lab: Lab, scored: wire.Job, model: str
) -> None:
    lab.restart("bank")
    one, two = (read_scores(lab, job)["u"] for job in (scored.id, succeed(client, score(model, "new")).id))
    assert one.index.equals(two.index) and set(((one - two) / STEP).unique()) <= {-1.0, 0.0, 1.0}


def test_one_row_is_scored_by_so_many_models_only(client: Client, lab: Lab) -> None:
    lab.write("other", *make_tables("B"))
    first = succeed(client, make_plan("other")).id
    lab.restart("grid", policy={**GRID_POLICY, "scores_per_row": 1})  # the book outlives the process
    second = run(client, make_plan("other", model={"ridge": 0.01}))
    assert (second.state, second.fault.origin, second.fault.kind) == ("failed", "grid", "PolicyError")
    assert second.fault.message == "450 of 450 rows have been scored by 1 models already"
    for name in ("grid", "bank"):  # of a job that failed after training nothing is kept
        kept = {folder.name for folder in (lab.data(name) / "models").iterdir()}
        assert first in kept and second.id not in kept


def test_an_unknown_model_is_named(client: Client, lab: Lab, scored: wire.Job) -> None:
    origin, kind, message = fail(client, score("train-20200101-00000000", "new"))
    assert origin in ("grid", "bank") and kind == "JobNotFound"
    assert "no model of job train-20200101-00000000 is stored here" in message


def test_a_dataset_without_a_column_of_the_model_is_refused(client: Client, lab: Lab, model: str) -> None:
    grid, bank = make_tables("C", 50)
    lab.write("new", grid.drop(columns="g3"), bank)
    origin, kind, message = fail(client, score(model, "new"))
    assert (origin, kind) == ("grid", "DataError")
    assert "dataset new: no column 'g3'" in message
