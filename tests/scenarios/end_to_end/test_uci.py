"""Accuracy on real records: UCI's default of credit card clients, a bank's thin file beside six months of payments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.plan.score import ScorePlan
from common.rows.dataset import DatasetConfig
from common.stats.metrics import Metrics
from common.trial.compare import pooled
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.extent import thorough
from tests.scenarios.end_to_end.lab import dataset_files, finish, make_plan, measured
from tests.source import ROOT

ROWS = 6000
"""A fifth of them: what is claimed is how near trainings come to others of the same rows. `test_uci_recipes` has all 30,000."""
SOURCE = Path(os.environ.get("WATTSCORE_UCI") or ROOT.parent / "shared/data/uci_default_credit.csv")
PAY = ["PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"]
MONEY = [f"{name}{month}" for name in ("BILL_AMT", "PAY_AMT") for month in range(1, 7)]
PLAIN = {"transform": "none", "kind": "numeric"}

pytestmark = pytest.mark.skipif(
    not SOURCE.exists(), reason=f"UCI's default-of-credit-card-clients table is not at {SOURCE}: set WATTSCORE_UCI to its path"
)


def signed_log(values: Any) -> Any:
    return np.sign(values) * np.log1p(values.abs())


def split_by_company(raw: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The grid's: money in signed logarithms and each PAY column at -2, -1, 1, 2, 3 and more; the bank's: five columns."""
    ids = raw["ID"].map("E{:06d}".format)
    delay: Any = raw[PAY].clip(upper=3)
    grid = {"id": ids, **{c: signed_log(raw[c]) for c in MONEY}}
    grid |= {f"{c}_{code}": (delay[c] == code).astype(int) for c in PAY for code in (-2, -1, 1, 2, 3)}
    bank = {"id": ids, "limit": signed_log(raw["LIMIT_BAL"]), **{c: raw[c] for c in ("SEX", "EDUCATION", "MARRIAGE", "AGE")}}
    bank["y"] = raw["default.payment.next.month"]
    return pd.DataFrame(grid).sample(frac=1, random_state=1), pd.DataFrame(bank).sample(frac=1, random_state=2)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    folder = tmp_path_factory.mktemp("uci")
    datasets = dataset_files(folder, ("prepared", "raw"))
    raw = pd.read_csv(SOURCE).sort_values("ID").head(ROWS)
    some = raw.head(6000).assign(id=raw["ID"].map("R{:06d}".format))
    for name, (grid, bank) in {
        "prepared": split_by_company(raw),
        "raw": (some[["id", *PAY, *MONEY]], some[["id", "LIMIT_BAL", "AGE"]].assign(y=some["default.payment.next.month"])),
    }.items():
        for side, table in (("grid", grid), ("bank", bank)):
            datasets[side][name]["path"].parent.mkdir(exist_ok=True)
            table.to_csv(datasets[side][name]["path"], index=False)
            datasets[side]["raw"]["columns"] = {c: PLAIN for c in table.columns if c not in ("id", "y")}
    loose = {"smallest_ridge": 0.0, "largest_clip": 100.0, "models_per_day": 100}  # for the worst of plans
    finest = {"own_weights": True, "half_dealer": True, "no_dealer": True, "finest_weight_bits": 16, "finest_score_bits": 16}
    loose = {"policy": {**loose, **finest}}
    with Trial(folder, datasets, {"grid": loose, "bank": {"policy": {**loose["policy"], "label_bits": 1e3}}}) as trial:
        yield trial


def train(trial: Trial, dataset: str, **fields: Any) -> wire.Job:
    with trial.client() as client:
        job = finish(client, client.submit(make_plan(dataset, **fields)).id, 120.0)
    assert job.state == "succeeded", job.fault.message
    return job


@pytest.fixture(scope="module")
def exact(trial: Trial) -> Metrics:
    configs = [DatasetConfig.model_validate(trial._datasets[side]["prepared"]) for side in ("grid", "bank")]
    return pooled(make_plan("prepared"), *configs)


FINE = {"reveal": "owners", "weight_bits": 14}


@pytest.fixture(scope="module")
def taylor(trial: Trial) -> Metrics:
    """The cheap link's model with a dealer, opened finely."""
    return measured(trial, train(trial, "prepared", model={**FINE, "link": "taylor"}, score_bits=14)).joint


@pytest.fixture(scope="module")
def closed(trial: Trial) -> wire.Job:
    """The exact link's model by a plan's defaults, with a dealer, but for scores opened finely."""
    return train(trial, "prepared", score_bits=14)


def test_half_a_dealer_trains_what_a_whole_one_does(trial: Trial) -> None:
    """Opened finely, as weights and scores in their usual steps differ by as much from run to run."""

    def found(dealer: str) -> Metrics:
        return measured(trial, train(trial, "prepared", model={**FINE, "dealer": dealer}, score_bits=14)).joint

    whole, half = found("whole"), found("half")
    assert abs(half.auc - whole.auc) < 0.0001 and abs(half.logloss - whole.logloss) < 0.0001


@thorough("few rows are trained on so, and scored, in the online tests and those of stages")
def test_without_a_dealer_the_same_is_trained(trial: Trial, taylor: Metrics) -> None:
    """With the link that there is then; and the coordinator has neither sent nor heard anything of it."""
    model = {**FINE, "link": "taylor", "dealer": "none"}
    job = train(trial, "prepared", model=model, matching="ecdh", score_bits=14)
    found = measured(trial, job).joint
    assert abs(found.auc - taylor.auc) < 0.0005 and abs(found.logloss - taylor.logloss) < 0.0002
    dealer = job.dealer
    assert not any((dealer.grid.sent, dealer.grid.received, dealer.bank.sent, dealer.bank.received))


@thorough("few rows are trained on so, and scored, in the online tests and those of stages")
def test_without_a_dealer_nobody_holds_the_model_and_it_scores(trial: Trial, closed: wire.Job) -> None:
    """The exact loss, and rows scored by the model of which each has shares alone; the grid's weights lie with nobody."""
    whole = measured(trial, closed).joint
    job = train(trial, "prepared", model={"dealer": "none"}, matching="ecdh", score_bits=14)
    found = measured(trial, job).joint
    assert abs(found.auc - whole.auc) < 0.0005 and abs(found.logloss - whole.logloss) < 0.0002
    sides = {side: {"dataset": "prepared"} for side in ("grid", "bank")}
    plan = ScorePlan.model_validate({**sides, "model": job.id, "dealer": "none", "matching": "ecdh"})
    with trial.client() as client:
        scored = finish(client, client.submit(plan).id, 120.0)
    assert scored.state == "succeeded", scored.fault.message
    assert scored.bank.report.counts.matched_rows == ROWS
    for one in (job.dealer, scored.dealer):
        assert not any((one.grid.sent, one.grid.received, one.bank.sent, one.bank.received))
    assert not {"grid_weights", "bank_weights"} & {*job.grid.report.opened, *job.bank.report.opened}


def test_the_exact_link_reaches_the_pooled_optimum(trial: Trial, closed: wire.Job, exact: Metrics) -> None:
    found = measured(trial, closed)
    assert closed.bank.report.counts.matched_rows == ROWS
    assert found.joint.auc == pytest.approx(exact.auc, abs=0.002)
    assert found.joint.logloss == pytest.approx(exact.logloss, abs=0.002)
    assert found.bank_only.auc < found.joint.auc - 0.1 and found.auc_difference.low > 0.1
    assert not closed.bank.report.warnings


def test_the_taylor_link_ranks_as_well(taylor: Metrics, exact: Metrics) -> None:
    assert taylor.auc == pytest.approx(exact.auc, abs=0.003)


def test_heavy_tails_without_logarithms_are_warned_of(trial: Trial) -> None:
    job = train(trial, "raw", preparation={"clip": 100.0}, model={"ridge": 0.0, "period": 16})  # whose reach is 4
    found = job.bank.report.evaluation
    assert found.largest_u > 4.0
    assert [w for w in job.bank.report.warnings if f"reach |u| = {found.largest_u:.1f}, beyond the 4" in w]
