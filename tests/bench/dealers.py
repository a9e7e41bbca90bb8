"""UCI's table trained with a whole dealer, half a dealer and none, with either link: AUC and log-loss of each.

As it is, and with 3 % overdue.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.plan.linear import Model
from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig
from common.trial.compare import pooled
from common.trial.result import reveal
from tests.bench import jobs
from tests.scenarios.end_to_end.test_uci import SOURCE, split_by_company

DEALERS = ("whole", "half", "none", "whole taylor", "none taylor")
RARE, ROWS = 0.03, 23_000  # of the last table: 23,364 clients pay


def rare(raw: pd.DataFrame, overdue: float = RARE, rows: int = ROWS, seed: int = 1) -> pd.DataFrame:
    """So many clients of whom this part is overdue, drawn without replacement."""
    late = raw["default.payment.next.month"] == 1
    taken = pd.concat(
        [
            raw[late].sample(round(overdue * rows), random_state=seed),
            raw[~late].sample(round((1 - overdue) * rows), random_state=seed),
        ]
    )
    return taken.sort_values("ID")


def bench_dealers(repeat: int = 1) -> list[dict[str, Any]]:
    """A result for each table; of each dealer the AUC and log-loss of every job, as the bank has them."""
    raw, found = pd.read_csv(SOURCE), []
    for name, table in (("as it is", raw), ("3 % overdue", rare(raw))):
        with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as made:
            folder = Path(made)
            paths = {side: folder / f"{side}.csv" for side in ("grid", "bank")}
            for path, part in zip(paths.values(), split_by_company(table), strict=True):
                part.to_csv(path, index=False)
            datasets = {side: {"t": declared} for side, declared in jobs.declare(paths, period=False).items()}
            result: dict[str, Any] = {"table": name, "rows": len(table)}
            daemons, lines = jobs.start(folder, datasets)
            with lines, daemons as trial, trial.client() as client:
                for dealer in DEALERS:
                    runs = []
                    for _ in range(repeat):
                        jobs.forget_scores(trial)
                        job, _ = jobs.run(client, plan_of(dealer))
                        reveal(trial, job)
                        runs.append(
                            {"auc": job.bank.report.evaluation.joint.auc, "logloss": job.bank.report.evaluation.joint.logloss}
                        )
                    result[dealer] = {key: float(np.mean([run[key] for run in runs])) for key in ("auc", "logloss")}
            best = pooled(plan_of("whole"), *(DatasetConfig.model_validate(datasets[side]["t"]) for side in ("grid", "bank")))
            found.append(result | {"pooled": {"auc": best.auc, "logloss": best.logloss}})
    return found


def plan_of(dealer: str) -> TrainPlan:
    """dealer: one of DEALERS."""
    kind, _, link = dealer.partition(" ")
    model = Model.model_validate({"dealer": kind, "reveal": "owners", **({"link": link} if link else {})})
    matching, side = "ecdh" if kind == "none" else "neutral", {"dataset": "t"}
    return TrainPlan.model_validate(
        {
            "grid": side,
            "bank": side,
            "model": model.model_dump(),
            "preparation": {"coding": "linear"},
            "score_bits": 10,
            "matching": matching,
        }
    )


def line(found: dict[str, Any]) -> str:
    parts = [f"{name} {found[name]['auc']:.5f} / {found[name]['logloss']:.5f}" for name in (*DEALERS, "pooled")]
    return f"{found['table']}, {found['rows']:,} rows: AUC and log-loss {', '.join(parts)}"
