"""Few rows overdue, the last months held out: the three real daemons from monthly records, beside the pooled optimum."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bank_party.decision.bundle import load_decision
from common.party import Party
from common.plan.train import TrainPlan
from common.records.make import make_features
from common.rows.dataset import DatasetConfig
from common.trial.compare import pooled
from common.trial.processes import Trial
from common.trial.result import reveal
from common.trial.world import ID, LABEL, MONTH, make_world, world_config
from common.wire import coordinator_pb2 as wire
from tests.bench.jobs import forget_scores, run

_ROWS = 15.3  # matched rows of each enterprise of the world: 18 months, 85 % known to both


def rare_datasets(folder: Path, rows: int, overdue: float, seed: int = 11) -> dict[str, dict[str, Any]]:
    """Both sides' features, made by the demo's recipes every month, of a world with some `rows` matched rows; by party."""
    make_world(folder, enterprises=round(rows / _ROWS), seed=seed, overdue=overdue)
    found: dict[str, dict[str, Any]] = {}
    for party in Party:
        config, out = world_config(party, folder), folder / f"{party.value}.parquet"
        text = (
            config.read_text(encoding="utf-8").replace("every = 3", "every = 1").replace("min_history = 15", "min_history = 6")
        )
        config.write_text(text, encoding="utf-8")
        make_features(config, out)
        label = {"label": LABEL} if party is Party.BANK else {}
        found[party.value] = {"rows": {"path": out, "id": ID, "period": MONTH, **label}}
    return found


def rare_plan(**model: Any) -> TrainPlan:
    """The default plan, the last three months held out; `model`: what is not default in it."""
    side = {"dataset": "rows"}
    raw = {
        "grid": side,
        "bank": side,
        "keys": ("id", "period"),
        "split": {"by": "time"},
        "model": model,
        "preparation": {"coding": "linear"},
    }
    return TrainPlan.model_validate(raw)


def exact(datasets: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The pooled optimum's metrics."""
    grid, bank = (DatasetConfig.model_validate(datasets[party.value]["rows"]) for party in Party)
    return asdict(pooled(rare_plan(), grid, bank))


def outcome(trial: Trial, job: wire.Job) -> dict[str, Any]:
    """What a finished job reached, calibration included, which only the bank can see."""
    report = job.bank.report
    reveal(trial, job)
    rules = load_decision(job.id, trial.folder / "bank-data" / "models" / job.id)
    return {
        "rows": report.counts.matched_rows,
        "test_rows": report.counts.test_rows,
        "iterations": report.counts.iterations,
        "auc": report.evaluation.joint.auc,
        "logloss": report.evaluation.joint.logloss,
        "bank_only_auc": report.evaluation.bank_only.auc,
        "calibration_error": rules.error_after,
        "calibration_error_before": rules.error_before,
        "curve": [bin.model_dump() for bin in rules.after],
        "warnings": list(report.warnings),
    }


def bench_rare(rows: int, overdue: float, iterations: Sequence[int], step: float | None = None) -> dict[str, Any]:
    """A job for each number of iterations."""
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder, jobs = Path(name), []
        datasets = rare_datasets(folder, rows, overdue)
        with Trial(folder / "trial", datasets) as trial, trial.client() as client:
            for count in iterations:
                begin = time.monotonic()
                job, _ = run(client, rare_plan(iterations=count, step=step))
                jobs.append(outcome(trial, job) | {"seconds": time.monotonic() - begin})
                forget_scores(trial)
        return {"overdue": overdue, "step": step, "exact": exact(datasets), "jobs": jobs}
