"""A grid and a client that train on the same rows again and again, and look at what the metrics say of one of them."""

from __future__ import annotations

import json

import pandas as pd

from common.client.client import Client
from common.stages.price import metric_bits
from tests.scenarios.attacks.reading import JOBS, forget, train
from tests.scenarios.end_to_end.lab import Lab, make_tables, own

COLUMNS = 12


def driven(frame: pd.DataFrame, target: str, height: float) -> pd.DataFrame:
    """`frame` with all numbers of the target's row far out on one side, where its score goes with them."""
    out = frame.copy()
    out.loc[out["id"] == target, [f"g{k}" for k in range(COLUMNS - 1)]] = height
    return out


def test_metrics_of_ten_jobs_tell_no_more_labels_than_the_bank_has_bits_for(lab: Lab, client: Client) -> None:
    """Each target's score is driven down in one job and up in the next, of other steps and splits."""
    frame, bank = make_tables("T", grid_columns=COLUMNS)
    labels = dict(zip(bank["id"], bank["y"].astype(float), strict=True))
    lab.write("rows", frame, bank)
    told, right, wrong, jobs = 0, 0, 0, []
    for k, target in enumerate(sorted(labels)[100 : 100 + JOBS // 2]):
        losses = []
        for height in (-4.0, 4.0):
            driven(frame, target, height).to_csv(lab.table("grid", "rows"), index=False)
            forget(lab)
            done = train(client, k % 3, model={"iterations": 20 + k})
            assert done.state == "succeeded", done.fault
            jobs.append(done)
            if done.bank.report.HasField("evaluation"):
                losses.append(done.bank.report.evaluation.joint.logloss)
        told += len(losses)
        if len(losses) == 2 and losses[0] != losses[1]:
            right, wrong = (
                right + ((losses[0] > losses[1]) == labels[target]),
                wrong + ((losses[0] < losses[1]) == labels[target]),
            )
    budgets = {book["key"]: book for book in json.loads(own(lab, "bank", "budget", "--json"))["budgets"]}
    spent = sum(charge["amount"] for charge in budgets["metric_bits"]["charges"])
    assert right - wrong <= spent <= 0.5 * len(labels) and budgets["metric_bits"]["most"] <= 0.5
    held = jobs[0].bank.report.counts.test_rows
    assert 0 < told < len(jobs) and round(spent / metric_bits(held)) == told
    last = jobs[-1]
    assert not last.bank.report.HasField("evaluation") and "metrics" not in last.bank.report.opened
    assert any("metric_bits" in text for text in last.bank.report.warnings)
    assert (lab.data("bank") / "models" / last.id / "evaluation.json").exists()
