"""Boosted trees through the three real daemons, and XGBoost with the same trees on the same rows in the same run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from common.plan.trees import Trees
from tests.bench import jobs, plaintext
from tests.bench.learner import measured
from tests.bench.peers import Xgboost
from tests.bench.tables import HELD_OUT, write_tables


def bench_forest(
    rows: int, grid: int, bank: int, section: Trees, line: str | None = None, xgboost: Xgboost | None = None, *,
    profiled: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One job, as `measured` says, and XGBoost's."""
    side = Side(dataset="t")
    shared: dict[str, Any] = {"grid": side, "bank": side, "keys": ("id", "period"), "split": Split(test=HELD_OUT)}
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder:
        datasets = jobs.declare(write_tables(Path(folder), round(rows / (1.0 - HELD_OUT)), grid, bank))
        plan = TrainPlan(**shared, model=section, limits=jobs.SMALL)
        found = {"grid": grid, "bank": bank, **measured(Path(folder), datasets, plan, line, profiled=profiled)}
        if xgboost is not None:
            linear = TrainPlan(**shared, limits=jobs.SMALL, preparation=jobs.AS_THEY_ARE)
            pooled = plaintext.pool(linear, datasets)
            found["xgboost"] = fitted = xgboost.fit(pooled.x, pooled.y, pooled.train, section, Path(folder))
            of_xgboost = fitted["seconds"]["processor"]
            found["ratio"] = {
                "training stage": found["seconds"]["train"] / of_xgboost,
                "all processes": sum(found["processor"].values()) / of_xgboost,
            }
    return found
