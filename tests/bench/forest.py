"""Boosted trees through the three real daemons, and XGBoost with the same trees on the same rows in the same run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from common.plan.trees import Trees
from common.trial.result import as_json
from tests.bench import jobs, plaintext
from tests.bench.anatomy import anatomy
from tests.bench.line import Shape, measure
from tests.bench.peers import Xgboost
from tests.bench.tables import HELD_OUT, write_tables


def bench_forest(
    rows: int, grid: int, bank: int, section: Trees, line: str | None = None, xgboost: Xgboost | None = None, *,
    profiled: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One job: seconds of each stage, processor seconds of each process in training, bytes, rounds, memory, and XGBoost's.

    profiled: also where the training stage spent them, which adds a sixth to them.
    """
    side = Side(dataset="t")
    shared: dict[str, Any] = {"grid": side, "bank": side, "keys": ("id", "period"), "split": Split(test=HELD_OUT)}
    plan = TrainPlan(**shared, model=section, limits=jobs.SMALL)
    shape = None if line is None else Shape.parse(line)
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder:
        datasets = jobs.declare(write_tables(Path(folder), round(rows / (1.0 - HELD_OUT)), grid, bank))
        own = {name: {"t": dataset} for name, dataset in datasets.items()}
        daemons, lines = jobs.start(Path(folder), own, shape, jobs.ProfiledTrial if profiled else jobs.CountedTrial)
        with lines, daemons as trial, trial.client() as client:
            job, seconds = jobs.run(client, plan)
            run = as_json(job, seconds, None)
            profile = trial.profile("train")
        found: dict[str, Any] = {
            "section": section.model_dump(), "grid": grid, "bank": bank, "train_rows": run["rows"]["train"],
            "thresholds": run["columns"], "seconds": run["seconds"], "bytes": run["bytes"], "peak_mib": run["peak_mib"],
            "rounds": run["rounds"]["train"], "auc": run["auc"]["joint"], "logloss": run["logloss"]["joint"],
            "processor": {name: entry["process"]["total"] for name, entry in profile.items()},
        }  # fmt: skip
        if profiled:
            found["profile"] = anatomy(profile, run["bytes"])
        if shape is not None:
            found["line"] = {"asked": line, **measure(shape)}
        if xgboost is not None:
            linear = TrainPlan(**shared, limits=jobs.SMALL, preparation=jobs.AS_THEY_ARE)
            pooled = plaintext.pool(linear, datasets)
            found["xgboost"] = fitted = xgboost.fit(pooled.x, pooled.y, pooled.train, section, Path(folder))
            of_xgboost = fitted["seconds"]["processor"]
            found["ratio"] = {
                "training stage": run["seconds"]["train"] / of_xgboost,
                "all processes": sum(found["processor"].values()) / of_xgboost,
            }
    return found
