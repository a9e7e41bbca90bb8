"""Banks alone through real daemons: the pooled optimum at each, nothing at the hub, and scores by nobody else's help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from common.client.client import failure
from common.disk.data_folder import Name
from common.errors import PlanError
from common.home.audit import AuditLog
from common.home.models import ModelStore
from common.home.registry import Registry
from common.monitor.book import Book
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.several import ALONE, SeveralPlan
from common.plan.train import Split
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig
from common.stages.several.estimate import SeveralSizes, estimate_several
from common.stats.logistic import Design, fit_design
from common.stats.measures import Metrics, evaluate
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.several import World, synthetic
from tests.scenarios.end_to_end.test_several import audited, run

LOOSE = {"rows_per_day": 10**8, "jobs_per_day": 1000, "models_per_day": 100, "min_matched": 300, "banks_alone": True}
BANK = {**LOOSE, "label_bits": 2.0, "metric_bits": 100.0}
LIMITS = {"min_matched": 300}
SIDES = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}}
RIDGE = 1e-4
Reals = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, World]]:
    """Three banks of different sizes and rates, a hub without a dataset, and the coordinator."""
    folder = tmp_path_factory.mktemp("alone")
    world = synthetic(folder, (1500, 900, 1600))
    settings: dict[str, Any] = {name: {"policy": BANK} for name in world.names} | {"grid": {"policy": LOOSE}}
    with Trial(folder, world.datasets | {"grid": {}}, settings) as trial:
        yield trial, world


@pytest.fixture(scope="module")
def trained(lab: tuple[Trial, World]) -> wire.Job:
    trial, world = lab
    with trial.client() as client:
        job = run(client, plan(world))
    assert failure(job) is None, failure(job)
    return job


def plan(world: World) -> SeveralPlan:
    return SeveralPlan.model_validate(json.loads(world.plan(limits=LIMITS).canonical()) | {"grid": "none", "disclosures": None})


FRAME = 12, 16  # bytes of a frame around its payload


def test_each_line_carries_what_was_estimated(lab: tuple[Trial, World], trained: wire.Job) -> None:
    """Less its frames, which are many and small, to within 1 %; and as many messages one after another."""
    (_, world), job = lab, trained
    counts = [told.report.counts for told in job.banks]
    rows, held = (tuple(getattr(one, name) for one in counts) for name in ("matched_rows", "test_rows"))
    sums = job.grid.report.counts.iterations
    found = estimate_several(plan(world), SeveralSizes(rows, 0, counts[0].trained_columns, held=held, sums=sums))
    for k, told in enumerate(job.banks, 1):
        line = told.report.peer
        framed(line.sent, found.bytes[f"bank_{k}_to_grid"], 26 + 2 * sums + (k == 1))
        framed(line.received, found.bytes[f"grid_to_bank_{k}"], 21 + sums)
        framed(told.report.coordinator.received, found.bytes[f"coordinator_to_bank_{k}"], 3)
        if k == 1:  # who speaks for all; a step's last bit leaves with what follows it
            assert found.rounds == sum(stage.rounds for stage in told.report.seconds) - sums
    framed(job.grid.report.coordinator.received, found.bytes["coordinator_to_grid"], 14 + sums)


def framed(seen: int, payload: int, arrays: int) -> None:
    least, most = FRAME
    assert arrays * least <= seen - payload <= arrays * most, (seen, payload, arrays)


def folder_of(trial: Trial, name: str, job: str) -> Path:
    return trial.folder / f"{name}-data" / "models" / job


def test_an_auditor_deals_anew_what_hub_and_banks_were_dealt(lab: tuple[Trial, World], trained: wire.Job) -> None:
    verdict = audited(*lab, trained.id)
    assert verdict.wrong == () and verdict.compared > 10


def rows_of(trial: Trial, world: World, name: str, job: str) -> tuple[Reals, Reals, npt.NDArray[np.bool_], Reals]:
    """One bank's rows as it prepared them, with labels; which it held out; its coefficients, the intercept last."""
    config = DatasetConfig.model_validate(world.datasets[name]["t"])
    table = read_table(config, name="t", party=Party.BANK, require_label=True).table
    model = ModelStore(trial.folder / f"{name}-data" / "models").load(job)
    held = set(pd.read_parquet(folder_of(trial, name, job) / "heldout.parquet")["id"])
    assert model.coefficients is not None
    return model.fitted.transform(table), table.outcomes, np.array([i in held for i in table.ids]), model.coefficients


def at_optimum(trial: Trial, world: World, job: str) -> Metrics:
    """Holds each bank's model against the fit to the rows of all; how good these models together are on held-out rows."""
    parts = [rows_of(trial, world, name, job) for name in world.names]
    design = np.concatenate([np.column_stack([x, np.tile(np.eye(3)[k], (len(x), 1))]) for k, (x, *_) in enumerate(parts)])
    y, test = np.concatenate([y for _, y, _, _ in parts]), np.concatenate([held for _, _, held, _ in parts])
    columns = design.shape[1] - 3
    penalty = np.diag([RIDGE] * columns + [0.0] * 3)
    best = fit_design(Design.of(design[~test]), y[~test], penalty)
    mine = np.r_[parts[0][3][:-1], [coefficients[-1] for *_, coefficients in parts]]
    assert all(np.abs(coefficients[:-1] - mine[:columns]).max() < 1e-12 for *_, coefficients in parts)  # the same at each
    exact, found = (evaluate(y[~test], design[~test] @ beta) for beta in (best, mine))
    assert abs(found.logloss - exact.logloss) < 1e-5
    exact, found = (evaluate(y[test], design[test] @ beta) for beta in (best, mine))
    assert abs(found.logloss - exact.logloss) < 1e-4 and abs(found.auc - exact.auc) < 1e-4
    return found


def test_each_bank_has_the_pooled_optimum_and_the_hub_nothing(lab: tuple[Trial, World], trained: wire.Job) -> None:
    (trial, world), job = lab, trained
    found = at_optimum(trial, world, job.id)
    assert 3 <= job.grid.report.counts.iterations <= 5
    assert not folder_of(trial, "grid", job.id).exists()
    pooled = {(told.report.pooled.auc, told.report.pooled.rows) for told in job.banks}
    assert len(pooled) == 1 and abs(pooled.pop()[0] - found.auc) < 0.02


def test_an_enterprise_of_two_banks_is_held_out_at_both_or_at_neither(lab: tuple[Trial, World], trained: wire.Job) -> None:
    (trial, world), job = lab, trained
    ids, held = {}, {}
    for name in world.names[:2]:
        ids[name] = set(pd.read_csv(world.folder / f"{name}.csv")["id"])
        held[name] = set(pd.read_parquet(folder_of(trial, name, job.id) / "heldout.parquet")["id"])
    common = ids["bank"] & ids["bank-2"]
    assert len(common) > 100 and held["bank"] & common == held["bank-2"] & common
    assert 0 < len(held["bank"] & common) < len(common)


def test_what_was_opened_is_what_the_plan_lists_and_what_it_tells_of_labels_is_charged(
    lab: tuple[Trial, World], trained: wire.Job
) -> None:
    (trial, world), job = lab, trained
    wanted = {"counts", "metrics", "pooled_moments", "pooled_metrics", "pooled_steps"}
    assert {opened.value for opened in plan(world).needs} == wanted
    for name, told in zip(world.names, job.banks, strict=True):
        assert set(told.report.opened) == wanted
        entries = AuditLog(trial.folder / f"{name}-data" / "audit.sqlite").entries(job=job.id)
        ways = {(d["kind"], d["way"]) for d in (json.loads(e.detail) for e in entries if e.what == "open")}
        assert ("pooled_step", "in") in ways and ("pooled_step", "out") not in ways
        budget = CliRunner().invoke(bank_party, ["budget", "--config", str(trial.folder / f"{name}.toml"), "--json"])
        assert budget.exit_code == 0 and "sums of the steps of banks alone" in budget.output
    assert "matched_ids" not in job.grid.report.opened and "split" not in job.grid.report.opened


def test_a_bank_scores_by_its_own_model_with_nobody_else(lab: tuple[Trial, World], trained: wire.Job) -> None:
    (trial, world), job = lab, trained
    command = ["score", "--model", job.id, "--bank-dataset", "t", "--config", str(trial.folder / "bank-2.toml")]
    done = CliRunner().invoke(bank_party, [*command, "--json"])
    assert done.exit_code == 0, done.output
    scores = pd.read_csv(json.loads(done.output)["file"]).set_index("id")
    x, y, _, coefficients = rows_of(trial, world, "bank-2", job.id)
    assert len(scores) == len(y) == 900
    table = read_table(DatasetConfig.model_validate(world.datasets["bank-2"]["t"]), name="t", party=Party.BANK).table
    u = x @ coefficients[:-1] + coefficients[-1]
    assert np.allclose(scores.loc[list(table.ids), "u"], u, atol=1e-9)
    assert named(trial, "score", "--model", "champion", "--bank-dataset", "t")[0] != 0
    refused = CliRunner().invoke(bank_party, [*command, "--by-period"])
    assert refused.exit_code != 0 and "--grid-dataset" in str(refused.output) + str(refused.exception)


def named(trial: Trial, *command: str) -> tuple[int, str]:
    """A command of the second bank: how it ended, and what it said."""
    done = CliRunner().invoke(bank_party, [*command, "--config", str(trial.folder / "bank-2.toml")])
    return done.exit_code, done.stdout if done.exit_code == 0 else done.output + str(done.exception)


def test_each_bank_has_a_champion_of_its_own_among_such_models(lab: tuple[Trial, World], trained: wire.Job) -> None:
    (trial, world), job = lab, trained
    with trial.client() as client:
        # More than by default, or rows that both hold back are now and then fewer of one outcome than two are compared on.
        later = run(client, plan(world).model_copy(update={"name": "again", "split": Split(test=0.4)}))
        assert failure(later) is None, failure(later)
        for about in (PromotePlan(model=job.id), ScorePlan.model_validate(SIDES | {"model": job.id})):
            with pytest.raises(PlanError, match=f"{job.id} was trained by banks alone.*bank-party promote {job.id}"):
                client.submit(about)
    assert named(trial, "rollback")[1].startswith("bank-party: there is no champion to roll back to")
    assert named(trial, "promote", job.id, "--note", "the first")[0] == 0
    assert "is the champion already" in named(trial, "promote", job.id)[1]
    code, said = named(trial, "promote", later.id, "--json")
    moved = json.loads(said)
    assert code == 0 and (moved["champion"], moved["before"]) == (later.id, job.id)
    assert moved["challenge"]["rows"] > 40 and abs(moved["challenge"]["auc"] - moved["challenge"]["champion_auc"]) < 0.1
    assert named(trial, "rollback")[1].endswith(f"the champion is {job.id}, before {later.id}\n")
    code, said = named(trial, "score", "--model", "champion", "--bank-dataset", "t", "--json")
    assert code == 0, said
    home = trial.folder / "bank-2-data"
    assert Book(home / Name.HISTORY).scored()[-1][1] == job.id
    assert Registry(home / Name.REGISTRY).champion is None  # of models with the grid, which agrees on that
    assert not Registry(trial.folder / "bank-data" / Name.REGISTRY).of(ALONE).moves()
    assert "promote of banks alone" in named(trial, "models")[1] and "no champion to roll back to" in named(trial, "jobs")[1]
    code, said = named(trial, "report", "champion", "--out", str(trial.folder / "champion.html"))
    assert code == 0 and "champion.html" in said
    assert named(trial, "audit", "verify")[0] == 0
