"""A whole training job: how good, what was opened, what it cost, what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.client.client import Client
from common.disclosure import Opened
from common.home.models import ModelStore
from common.learn.linear.half import ClosedModel
from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig
from common.stages.estimate import Sizes, estimate
from common.stats.metrics import Metrics
from common.trial.compare import pooled
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import (
    BANK_COLUMNS,
    GRID_COLUMNS,
    ROWS,
    Lab,
    make_plan,
    make_tables,
    measured,
    monthly,
    succeed,
)

TEST = round(0.3 * ROWS)


@pytest.fixture(scope="module")
def trained(shared: Lab) -> wire.Job:
    shared.heal()
    with shared.client() as client:
        return succeed(client, make_plan("trained"))


def in_the_clear(lab: Lab, plan: TrainPlan) -> Metrics:
    found = [DatasetConfig.model_validate(lab._datasets[side][plan.grid.dataset]) for side in ("grid", "bank")]
    return pooled(plan, *found)


def opened(job: wire.Job) -> set[Opened]:
    return {Opened(value) for value in (*job.grid.report.opened, *job.bank.report.opened)}


def test_the_joint_model_is_as_good_as_the_pooled_one_and_better_than_the_banks(trained: wire.Job, lab: Lab) -> None:
    exact, told, found = in_the_clear(lab, make_plan("trained")), trained.bank.report.evaluation, measured(lab, trained)
    assert found.joint.auc == pytest.approx(exact.auc, abs=0.002)
    assert found.joint.logloss == pytest.approx(exact.logloss, abs=0.002)
    assert found.joint.auc > found.bank_only.auc + 0.05
    assert found.auc_difference.difference == pytest.approx(found.joint.auc - found.bank_only.auc, abs=2e-5)
    assert found.auc_difference.low < found.auc_difference.difference < found.auc_difference.high
    for one, two in ((told.joint, found.joint), (told.bank_only, found.bank_only)):
        steps = found.steps
        assert abs(one.auc - two.auc) <= steps.rank / 2 + 1e-9 and abs(one.logloss - two.logloss) <= steps.mean / 2 + 1e-9
        assert round(one.auc / steps.rank) * steps.rank == pytest.approx(one.auc) and steps.rank >= 1 / TEST


def test_counts_are_of_the_tables(trained: wire.Job) -> None:
    for name, own, prepared in (("grid", GRID_COLUMNS, GRID_COLUMNS), ("bank", BANK_COLUMNS, BANK_COLUMNS + 1)):
        counts = getattr(trained, name).report.counts
        assert (counts.own_rows, counts.matched_ids, counts.matched_rows) == (ROWS, ROWS, ROWS)
        assert (counts.train_rows, counts.test_rows) == (ROWS - TEST, TEST)
        assert (counts.own_columns, counts.trained_columns, counts.iterations) == (own, prepared, 12)


def test_exactly_what_the_plan_needs_is_opened(trained: wire.Job) -> None:
    assert opened(trained) == make_plan("trained").needs
    assert Opened.METRICS not in {Opened(value) for value in trained.grid.report.opened}


def test_the_report_says_what_a_client_wants_to_know(trained: wire.Job) -> None:
    assert [s.stage for s in trained.bank.report.seconds] == ["load", "align", "prepare", "train", "reveal", "evaluate"]
    assert all(s.seconds > 0 for party in (trained.grid, trained.bank) for s in party.report.seconds)
    assert all(peak > 50 for peak in (trained.dealer.peak_mib, trained.grid.report.peak_mib, trained.bank.report.peak_mib))
    assert trained.submitted <= trained.started <= trained.ended
    assert trained.submitter == "wattscore://try-bank/client"
    assert len(trained.grid.report.model_digest) == 64 and not trained.grid.report.warnings


def test_each_link_carries_what_was_estimated(trained: wire.Job) -> None:
    expected = estimate(make_plan("trained"), Sizes(ROWS, GRID_COLUMNS, BANK_COLUMNS + 1, ROWS, ROWS))
    for name, other, dealt in (("grid", "bank", trained.dealer.grid), ("bank", "grid", trained.dealer.bank)):
        mine: Any = getattr(trained, name).report
        arrays = expected.bytes[f"{name}_to_{other}"]
        assert arrays < mine.peer.sent < 1.005 * arrays + 2000  # what some ninety messages are framed by
        assert mine.coordinator.received == pytest.approx(expected.bytes[f"coordinator_to_{name}"], rel=0.01)
        tags = expected.bytes[f"{name}_to_coordinator"]
        assert tags < mine.coordinator.sent < tags + 5000  # demands and acknowledgements
        assert (dealt.sent, dealt.received) == (mine.coordinator.received, mine.coordinator.sent)
    assert trained.grid.report.peer.sent == trained.bank.report.peer.received
    assert trained.bank.report.peer.sent == trained.grid.report.peer.received


def test_each_party_keeps_its_own_half_of_the_model(trained: wire.Job, lab: Lab) -> None:
    for name, columns in (("grid", GRID_COLUMNS), ("bank", BANK_COLUMNS + 1)):
        model = ModelStore(lab.data(name) / "models").load(trained.id)
        assert isinstance(model, ClosedModel) and model.own.shape == (columns,) and model.whiten.shape == (columns, columns)
        assert all(c.startswith((name[0], "(")) for c in model.columns)
        about = json.loads((lab.data(name) / "models" / trained.id / "model.json").read_text())["about"]
        assert about["plan_sha256"] == make_plan("trained").digest().hex()


def test_both_links_and_sgd_train_too(client: Client, lab: Lab) -> None:
    exact = in_the_clear(lab, make_plan("trained"))
    for model, within in (({"link": "taylor"}, 0.003), ({"optimiser": "sgd", "batch": 350, "epochs": 4}, 0.02)):
        job = succeed(client, make_plan("trained", model=model))
        assert measured(lab, job).joint.auc == pytest.approx(exact.auc, abs=within)


def test_weights_of_evidence_are_counted_together(client: Client, lab: Lab) -> None:
    lab.write("scratch", *make_tables("E", rows := 3600))  # four bins of twelve columns tell less than a tenth of a bit of each
    plan = make_plan("scratch", preparation={"coding": "woe", "bins": 4})
    job = succeed(client, plan)
    assert opened(job) == plan.needs >= {Opened.BIN_COUNTS}
    assert measured(lab, job).joint.auc == pytest.approx(in_the_clear(lab, plan).auc, abs=0.003)
    found = json.loads((lab.data("grid") / "models" / job.id / "features.json").read_text())["columns"]
    for column in found:
        assert sum(b["ones"] + b["zeros"] for b in column["bins"]) == rows - round(0.3 * rows)
        assert min(min(b["ones"], b["zeros"]) for b in column["bins"]) >= 5
    assert len(found) == GRID_COLUMNS and found[0]["iv"] > 0.02


def test_monthly_rows_are_matched_by_company_and_month(client: Client, lab: Lab) -> None:
    grid, bank = make_tables("P", 3300)
    lab.write("monthly", monthly(grid, ["2024-01", "2024-02", "2024-03"]), monthly(bank, ["202402", "202403", "202404"]))
    plan = make_plan("monthly", keys=("id", "period"))
    job = succeed(client, plan)
    counts = job.bank.report.counts
    assert (counts.own_rows, counts.matched_ids, counts.matched_rows) == (3300, 1100, 2200)  # two of three months overlap
    assert opened(job) == plan.needs >= {Opened.PERIOD_RANGE, Opened.MATCHED_ROWS}
    exact = in_the_clear(lab, plan)
    assert measured(lab, job).joint.auc == pytest.approx(exact.auc, abs=0.005)
