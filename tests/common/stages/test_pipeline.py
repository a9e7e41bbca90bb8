"""Whole jobs at both parties: a joint model that beats the bank's own, scores that are X beta, and no value opened unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import DataError, JobNotFound, PlanError, PolicyError
from common.home.outcome import Outcome
from common.home.record import load_record
from common.learn.design import INTERCEPT
from common.learn.linear.half import ClosedModel
from common.mpc.fixedpoint import decode
from common.mpc.session import Kind
from common.party import Party
from common.plan.train import TrainPlan
from common.rows.dataset import read_table
from common.rows.table import FeatureTable
from common.stages import split
from common.stages.pipeline import load
from common.stats.logistic import fit_logistic
from common.stats.measures import auc
from tests.common.stages.alone import alone
from tests.common.stages.companies import COMMON, FLOORS, MONTHS, POLICY, Companies, frames
from tests.common.stages.plain import OFF, STEP, plain_part, weights_of

STAGES = ["load", "align", "prepare", "train", "reveal", "evaluate"]


@pytest.fixture
def companies(tmp_path: Path) -> Companies:
    made = Companies(tmp_path)
    made.write(frames(seed=1, monthly=False))
    return made


def common_rows(companies: Companies) -> dict[Party, FeatureTable]:
    """Both parties' common rows, by id and period."""
    tables = {p: read_table(companies.dataset(p), name="rows", party=p).table for p in Party}
    keys = {}
    for party, data in tables.items():
        periods = np.zeros(data.rows, int) if data.periods is None else data.periods
        keys[party] = pd.MultiIndex.from_arrays([data.ids, periods])
    both = keys[Party.GRID].intersection(keys[Party.BANK]).sort_values()
    return {party: tables[party].take(keys[party].get_indexer(both)) for party in Party}


def joint_scores(companies: Companies, job: str, rows: dict[Party, FeatureTable]) -> Any:
    halves = {party: companies.models(party).load(job) for party in Party}
    return sum(plain_part(halves, party, rows[party]) for party in Party)


def pooled_scores(companies: Companies, job: str, plan: TrainPlan) -> tuple[Any, Any, Any]:
    """u of an ordinary logistic regression on both parties' prepared columns together, the labels, and who was held out."""
    rows = common_rows(companies)
    x = np.column_stack([companies.models(party).load(job).fitted.transform(rows[party]) for party in Party])
    label = rows[Party.BANK].label
    assert label is not None
    test = split.draw(rows[Party.BANK], plan.split)
    beta = fit_logistic(x[~test], label[~test], plan.model.ridge)
    return beta[0] + x @ beta[1:], label, test


@pytest.fixture
async def trained(companies: Companies) -> dict[Party, Outcome]:
    return await companies.run("job-1", companies.plan())


async def test_the_joint_model_beats_the_banks_own(trained: dict[Party, Outcome]) -> None:
    assert trained[Party.GRID].evaluation is None
    result = trained[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc > result.bank_only.auc + 0.08
    assert result.auc_difference.low > 0
    assert result.joint.logloss < result.bank_only.logloss


async def test_with_more_steps_the_joint_model_becomes_the_pooled_one(companies: Companies) -> None:
    plan = companies.plan(model={"iterations": 60})
    assert isinstance(plan, TrainPlan)
    outcomes = await companies.run("job-1", plan)
    pooled, label, test = pooled_scores(companies, "job-1", plan)
    joint = joint_scores(companies, "job-1", common_rows(companies))
    assert np.abs(pooled).max() > 5.0
    assert np.abs(joint - pooled).max() < 0.05  # columns are multiples of 2^-10, the link is right within 0.003
    result = outcomes[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc == pytest.approx(auc(label[test], joint[test]), abs=0.002)  # scores are opened in steps


async def test_the_default_steps_rank_as_the_pooled_model_does(companies: Companies, trained: dict[Party, Outcome]) -> None:
    plan = companies.plan()
    assert isinstance(plan, TrainPlan)
    pooled, label, test = pooled_scores(companies, "job-1", plan)
    result = trained[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc == pytest.approx(auc(label[test], pooled[test]), abs=0.005)


@pytest.mark.parametrize("reveal", ["none", "owners"])
async def test_nobody_holds_a_closed_model_and_each_its_own_of_an_opened_one(companies: Companies, reveal: str) -> None:
    plan = companies.plan(model={"iterations": 60, "reveal": reveal})
    outcomes = await companies.run("job-1", plan)
    halves = {party: companies.models(party).load("job-1") for party in Party}
    assert {half.closed for half in halves.values()} == {reveal == "none"}
    opened = {"grid_weights", "bank_weights"}
    assert {bool(opened & set(outcome.opened)) for outcome in outcomes.values()} == {reveal == "owners"}
    if reveal == "none":
        sent = companies.trio.session[Party.GRID].traffic.sent
        assert not {Kind.GRID_WEIGHT_SHARE, Kind.BANK_WEIGHT_SHARE} & sent.keys()
        for party in Party:  # a share by itself says nothing of a weight
            half = halves[party]
            assert isinstance(half, ClosedModel)
            assert np.abs(decode(half.own, 20)).max() > 1e6 and np.abs(weights_of(halves, party)).max() < 5
            assert {file.name for file in companies.models(party).folder("job-1").iterdir()} >= {"arrays.npz", "model.json"}


async def test_what_is_opened_is_what_the_plan_needs(companies: Companies, trained: dict[Party, Outcome]) -> None:
    needs = {opened.value for opened in companies.plan().needs}
    assert set(trained[Party.BANK].opened) == needs
    assert set(trained[Party.GRID].opened) == needs - {"metrics"}


async def test_counts_stages_and_digest_are_reported(companies: Companies, trained: dict[Party, Outcome]) -> None:
    grid, bank = trained[Party.GRID], trained[Party.BANK]
    same = ("matched_ids", "matched_rows", "train_rows", "test_rows", "iterations")
    assert [grid.counts[name] for name in same] == [bank.counts[name] for name in same]
    assert grid.counts["matched_ids"] == grid.counts["matched_rows"] == COMMON
    assert grid.counts["train_rows"] + grid.counts["test_rows"] == COMMON
    assert grid.counts["test_rows"] == pytest.approx(0.3 * COMMON, abs=1)
    assert (grid.counts["own_rows"], bank.counts["own_rows"]) == (560, 540)
    assert (grid.counts["own_columns"], bank.counts["own_columns"]) == (4, 2)
    assert (grid.counts["trained_columns"], bank.counts["trained_columns"]) == (5, 3)
    for party, outcome in trained.items():
        rows = [outcome.counts[name] for name in ("own_rows", "matched_rows", "train_rows")]
        assert companies.reporters[party].counted == rows
        assert companies.reporters[party].stages == STAGES == list(outcome.seconds) == list(outcome.rounds)
        assert outcome.rounds["load"] == 0 and outcome.rounds["train"] == 5 * outcome.counts["iterations"] + 10 + 3 + 1 + 1
        assert len(outcome.model_digest) == 64
    assert grid.model_digest != bank.model_digest


async def test_each_party_stores_its_own_half_and_what_a_reviewer_asks_for(
    companies: Companies, trained: dict[Party, Outcome]
) -> None:
    grid, bank = (companies.models(party).load("job-1") for party in Party)
    assert grid.columns[:3] == ("kwh", "peak", "late")
    assert {column.partition("=")[0] for column in grid.columns[3:]} == {"branch"}
    assert bank.columns == ("income", "debt", INTERCEPT)
    assert grid.about["plan_sha256"] == bank.about["plan_sha256"] == companies.plan().digest().hex()
    assert grid.about["dataset_sha256"] != bank.about["dataset_sha256"]
    assert not set(grid.source) & set(bank.source)


async def test_a_scoring_job_gives_x_beta_of_new_rows(companies: Companies, trained: dict[Party, Outcome]) -> None:
    new = frames(seed=2, monthly=False)
    new[Party.BANK] = new[Party.BANK].drop(columns="overdue")
    companies.write(new)
    plan = companies.plan(kind="score", model="job-1")
    outcomes = await companies.run("score-1", plan)
    written = pd.read_csv(companies.home(Party.BANK) / "scores" / "score-1.csv", index_col="id").sort_index()
    rows = common_rows(companies)
    assert written.index.tolist() == rows[Party.GRID].ids.tolist()
    u = joint_scores(companies, "job-1", rows)
    np.testing.assert_allclose(written["u"], u, rtol=0, atol=OFF)
    for party, outcome in outcomes.items():
        assert set(outcome.opened) == {opened.value for opened in plan.needs}
        assert outcome.counts["matched_rows"] == COMMON
        assert companies.reporters[party].stages == ["load", "align", "score", "watch"]
    assert not (companies.home(Party.GRID) / "scores").exists()


async def test_scoring_twice_gives_the_same_scores_but_for_a_step(companies: Companies, trained: dict[Party, Outcome]) -> None:
    plan = companies.plan(kind="score", model="job-1")
    for job in ("score-1", "score-2"):
        await companies.run(job, plan)
    folder = companies.home(Party.BANK) / "scores"
    one, two = (pd.read_csv(folder / f"score-{k}.csv", index_col="id").sort_index() for k in (1, 2))
    assert one.index.tolist() == two.index.tolist()
    assert set(((one["u"] - two["u"]) / STEP).unique()) == {-1.0, 0.0, 1.0}


async def test_scoring_twice_by_an_opened_model_gives_the_same_file_up_to_its_order(companies: Companies) -> None:
    await companies.run("job-1", companies.plan(model={"reveal": "owners"}))
    plan = companies.plan(kind="score", model="job-1")
    for job in ("score-1", "score-2"):
        await companies.run(job, plan)
    files = [(companies.home(Party.BANK) / "scores" / f"score-{k}.csv").read_text().splitlines() for k in (1, 2)]
    assert sorted(files[0]) == sorted(files[1])


async def test_scoring_reads_columns_as_training_did(companies: Companies, trained: dict[Party, Outcome]) -> None:
    new = frames(seed=2, monthly=False)
    new[Party.GRID]["extra"] = "text"
    companies.write(new)
    outcomes = await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    assert outcomes[Party.GRID].counts["own_columns"] == 4
    companies.write({Party.GRID: new[Party.GRID].drop(columns="peak")})
    with pytest.raises(DataError, match="peak"):
        await companies.run("score-2", companies.plan(kind="score", model="job-1"))


async def test_a_model_that_was_never_trained_does_not_score(companies: Companies) -> None:
    with pytest.raises(JobNotFound):
        await companies.run("score-1", companies.plan(kind="score", model="job-9"))


async def test_monthly_rows_are_trained_and_scored_by_month(tmp_path: Path) -> None:
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(seed=3, monthly=True))
    outcomes = await companies.run("job-1", companies.plan(model={"iterations": 8}))
    for party in Party:
        assert outcomes[party].counts["matched_ids"] == COMMON
        assert outcomes[party].counts["matched_rows"] == COMMON * MONTHS
    assert set(outcomes[Party.BANK].opened) == {opened.value for opened in companies.plan().needs}
    result = outcomes[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc > result.bank_only.auc + 0.08
    plan = companies.plan(kind="score", model="job-1")
    await companies.run("score-1", plan)
    written = pd.read_csv(companies.home(Party.BANK) / "scores" / "score-1.csv")
    assert sorted(set(written["period"])) == ["2024-01", "2024-02", "2024-03"]
    written = written.sort_values(["id", "period"])
    u = joint_scores(companies, "job-1", common_rows(companies))
    np.testing.assert_allclose(written["u"], u, rtol=0, atol=OFF)


@pytest.mark.parametrize("by", ["row", "enterprise"])
async def test_a_split_of_months_by_row_warns_and_is_counted(tmp_path: Path, by: str) -> None:
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(6, monthly=True))
    outcomes = await companies.run("mixed", companies.plan(split={"by": by}))
    mixed = [warning for warning in outcomes[Party.BANK].warnings if "split" in warning]
    assert mixed == ([split.MIXED] if by == "row" else [])
    for party in Party:
        both = load_record("mixed", companies.models(party).folder("mixed")).both_sides
        assert both is not None and (both > 100 if by == "row" else both == 0)


async def test_owned_weights_open_gradients_and_no_weights(tmp_path: Path) -> None:
    own = {Party.BANK: {"label_bits": 20.0}}  # 12 steps of 64 bits for each of five columns
    companies = Companies(tmp_path, policy=POLICY.model_copy(update={"owned_weights": True}), own=own)
    companies.write(frames(seed=1, monthly=False))
    plan = companies.plan(model={"weights": "owned", "reveal": "owners", "optimiser": "sgd", "batch": 1000, "epochs": 12})
    outcomes = await companies.run("job-1", plan)
    assert set(outcomes[Party.BANK].opened) == {opened.value for opened in plan.needs}
    assert "gradients" in outcomes[Party.BANK].opened
    result = outcomes[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc > result.bank_only.auc + 0.08


async def test_the_taylor_link_trains_too(companies: Companies) -> None:
    outcomes = await companies.run("job-1", companies.plan(model={"link": "taylor"}))
    result = outcomes[Party.BANK].evaluation
    assert result is not None
    assert result.joint.auc > result.bank_only.auc + 0.08


# What stops a job


async def test_the_policys_floor_binds_when_it_is_higher_than_the_plans(companies: Companies) -> None:
    companies.policy = POLICY.model_copy(update={"min_matched": COMMON + 1})
    with pytest.raises(PolicyError, match="min_matched = 501"):
        await companies.run("job-1", companies.plan())


async def test_too_few_columns_of_the_grid_are_refused_before_training(companies: Companies) -> None:
    plan = companies.plan(grid={"dataset": "rows", "columns": ["kwh", "peak"]})
    with pytest.raises(PolicyError, match=r"2 columns of the grid are too few.*at least 3, got 2"):
        await companies.run("job-1", plan)
    assert "train" not in companies.reporters[Party.GRID].stages
    assert Kind.MASKED_MATRIX not in companies.trio.session[Party.GRID].traffic.sent
    companies.own[Party.GRID] = {"min_columns": 2}
    await companies.run("job-2", plan)


async def test_too_few_rows_for_the_columns_are_refused(companies: Companies) -> None:
    limits = {"min_matched": 50, "min_rows": 100, "rows_per_column": 100}
    with pytest.raises(PolicyError, match="350 training rows are too few for 8 columns"):
        await companies.run("job-1", companies.plan(limits=limits))


async def test_a_value_the_plan_does_not_open_stops_the_job(companies: Companies) -> None:
    plan = companies.plan()
    for lacking in plan.needs:
        allowed = tuple(opened for opened in plan.needs if opened is not lacking)
        with pytest.raises(PolicyError, match=f"does not open '{lacking.value}'"):
            await companies.run("job-1", plan.model_copy(update={"disclosures": allowed}))


async def test_the_grid_keeps_its_budget_across_jobs(companies: Companies, trained: dict[Party, Outcome]) -> None:
    # Five trained columns allow a row to be scored by two models; held-out rows differ by seed.
    await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    await companies.run("job-2", companies.plan(split={"seed": 1}))
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):
        await companies.run("job-3", companies.plan(split={"seed": 1}))


async def test_a_client_beyond_its_rate_is_refused_before_training(companies: Companies) -> None:
    companies.policy = POLICY.model_copy(update={"models_per_day": 1})
    await companies.run("job-1", companies.plan())
    with pytest.raises(PolicyError, match="asks for more models for one row"):
        await companies.run("job-2", companies.plan())
    assert "train" not in companies.reporters[Party.GRID].stages
    companies.policy = POLICY.model_copy(update={"rows_per_day": 200})
    with pytest.raises(PolicyError, match=r"at most 200 \(rows_per_day\), of which 50 are left, got 350"):
        await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    assert Kind.MASKED_WEIGHTS not in companies.trio.session[Party.GRID].traffic.sent


# Warnings


async def test_columns_left_out_are_named_to_their_owner_only(companies: Companies) -> None:
    data = frames(seed=1, monthly=False)
    data[Party.GRID]["secret_flag"] = 1.0
    companies.write(data)
    outcomes = await companies.run("job-1", companies.plan())
    grid, bank = outcomes[Party.GRID], outcomes[Party.BANK]
    assert any("secret_flag" in text for text in grid.warnings)
    assert "secret_flag" not in str((grid.public_warnings, companies.reporters[Party.GRID].warnings, vars(bank)))


async def test_a_plan_selects_columns_that_are_not_declared_as_they_are_inferred(companies: Companies) -> None:
    job = alone(companies, grid={"dataset": "rows", "columns": ["branch", "peak"]})
    loaded = await load(job, require_label=False)
    assert list(loaded.columns) == ["branch", "peak"]
    assert [column.kind for column in loaded.columns.values()] == ["categorical", "numeric"]
    assert set(loaded.table.numeric) | set(loaded.table.categorical) == {"branch", "peak"}
    assert (job.outcome.counts["own_rows"], job.outcome.counts["own_columns"]) == (560, 2)


async def test_a_column_that_is_not_in_the_file_is_the_plans_fault(companies: Companies) -> None:
    job = alone(companies, grid={"dataset": "rows", "columns": ["peak", "kwhs", "id"]})
    with pytest.raises(PlanError, match=r"no column 'kwhs', 'id'\. .* It declares: kwh, peak, late, branch\."):
        await load(job, require_label=False)


# Lines and pieces


def bent(companies: Companies) -> None:
    """Rows whose label lies where `peak` is far from its middle, whatever its sign."""
    data = frames(seed=1, monthly=False)
    peak = data[Party.GRID].set_index("id")["peak"].reindex(data[Party.BANK]["firm"]).fillna(0.0).to_numpy()
    chance = 1 / (1 + np.exp(-3.0 * (np.abs(peak) - 0.8)))
    data[Party.BANK]["overdue"] = (np.random.default_rng(3).random(len(peak)) < chance).astype(int)
    companies.write(data)


def pieced(companies: Companies, coding: str, per_column: int = 5) -> TrainPlan:
    companies.policy = POLICY.model_copy(update={"min_bin_rows": 1, "rows_per_column": 1})
    preparation = {"min_binary": 20, "min_bin_rows": 20, "coding": coding}
    plan = companies.plan(preparation=preparation, limits={**FLOORS, "rows_per_column": per_column})
    assert isinstance(plan, TrainPlan)
    return plan


async def test_auto_finds_what_a_line_cannot_and_opens_nothing_more(companies: Companies) -> None:
    bent(companies)
    lines = await companies.run("job-1", pieced(companies, "linear"))
    pieces = await companies.run("job-2", pieced(companies, "auto"))
    auc_of = {job: o[Party.BANK].evaluation.joint.auc for job, o in (("lines", lines), ("pieces", pieces))}
    assert auc_of["lines"] < 0.55 and auc_of["pieces"] > 0.65
    assert all(pieces[party].opened == lines[party].opened for party in Party)
    made = companies.models(Party.GRID).load("job-2").fitted.columns
    assert {"peak", "kwh", "late", "branch=farm"} <= set(made) and len([name for name in made if name.startswith("peak>")]) == 3
    assert pieces[Party.GRID].counts["trained_columns"] == len(made)
    record = load_record("job-2", companies.models(Party.GRID).folder("job-2"))
    assert {c.name for c in record.collinear} == {"kwh", "peak", "late", "branch=farm", "branch=shop"}


async def test_pieces_that_are_too_many_for_both_are_left_out_at_both(companies: Companies) -> None:
    # 350 rows at 24 a column train 14, an intercept among them, and each takes 6 at most: lines, and pieces beside them
    plan = pieced(companies, "auto", per_column=24)
    await companies.run("job-1", plan)
    made = {party: companies.models(party).load("job-1").columns for party in Party}
    assert (len(made[Party.GRID]), len(made[Party.BANK])) == (6, 7)
    # at 43 a column they train 8, and each takes 3 at most: the grid has five lines, and the bank's piece would be the ninth
    await companies.run("job-2", pieced(companies, "auto", per_column=43))
    made = {party: companies.models(party).load("job-2").columns for party in Party}
    assert (len(made[Party.GRID]), len(made[Party.BANK])) == (5, 3)
    assert companies.trio.session[Party.GRID].traffic.sent[Kind.SHAPE] == 48
    with pytest.raises(PolicyError, match="350 training rows are too few for 8 columns"):
        await companies.run("job-3", pieced(companies, "auto", per_column=44))
