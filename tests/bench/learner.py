"""A learner through the three real daemons: what a job of it costs each process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.plan.train import TrainPlan
from common.trial.result import as_json
from tests.bench import jobs
from tests.bench.anatomy import anatomy
from tests.bench.line import Shape, measure


def measured(
    folder: Path, datasets: dict[str, Any], plan: TrainPlan, line: str | None = None, *, profiled: bool = False
) -> dict[str, Any]:
    """One job: seconds of each stage, processor seconds of each process in training, bytes, rounds, memory, quality.

    datasets: by side, as `jobs.declare` gives them. profiled: also where the training stage spent them, which adds a sixth.
    """
    shape = None if line is None else Shape.parse(line)
    own = {name: {"t": dataset} for name, dataset in datasets.items()}
    daemons, lines = jobs.start(folder, own, shape, jobs.ProfiledTrial if profiled else jobs.CountedTrial)
    with lines, daemons as trial, trial.client() as client:
        job, seconds = jobs.run(client, plan)
        run = as_json(job, seconds, None)
        profile = trial.profile("train")
    found: dict[str, Any] = {
        "section": plan.model.model_dump(), "train_rows": run["rows"]["train"], "columns": run["columns"],
        "seconds": run["seconds"], "bytes": run["bytes"], "peak_mib": run["peak_mib"], "rounds": run["rounds"]["train"],
        "auc": run["auc"]["joint"], "logloss": run["logloss"]["joint"],
        "processor": {name: entry["process"]["total"] for name, entry in profile.items()},
    }  # fmt: skip
    if profiled:
        found["profile"] = anatomy(profile, run["bytes"])
    if shape is not None:
        found["line"] = {"asked": line, **measure(shape)}
    return found
