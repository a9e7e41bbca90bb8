"""Plans made after a training that is over: what is dealt ahead for more like it, and for rows that its model scores."""

from __future__ import annotations

from typing import Any

from common.config import validate
from common.errors import PlanError
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.wire import coordinator_pb2 as wire


def as_before(job: wire.Job, *, scores: bool = False) -> dict[str, Any]:
    """A predeal plan's keys for a training like this one. Raises PlanError for a job that has trained nothing.

    scores: for scores by its model alone, which may be one of several banks.
    """
    grid, bank = job.grid.report.counts, job.bank.report.counts
    if job.kind != "train" or not (grid.trained_columns and bank.trained_columns):
        raise PlanError(f"job {job.id} has trained nothing", remedy="Name a training job that succeeded.")
    sizes = {"rows": grid.train_rows + grid.train_rows // 20, "grid_columns": grid.trained_columns}
    plan = parse_plan(job.plan)
    model = plan.model if scores and isinstance(plan, SeveralPlan) else training_of(plan, job.id).model
    return {"model": model, **sizes, "bank_columns": bank.trained_columns}


def training_of(plan: AnyPlan, source: str) -> TrainPlan:
    """Raises PlanError for a plan of another kind, or of several banks."""
    if isinstance(plan, SeveralPlan):
        raise PlanError(
            f"{source}: with several banks nothing is dealt ahead, and nothing repeated by month",
            remedy="Give the training plan of one bank; of scores by a model of several: --scores --like JOB.",
        )
    if not isinstance(plan, TrainPlan):
        raise PlanError(f"{source}: a plan of kind {plan.kind!r} trains nothing", remedy="Give a training plan.")
    return plan


def for_scores(raw: dict[str, Any]) -> dict[str, Any]:
    """The keys for one scoring job by whatever model of these columns, of those for a training."""
    sizes = {k: v for k, v in raw.items() if k.endswith("_columns")}
    return {"model": raw["model"].scoring if "model" in raw else {}, "serves": "scores", **sizes}


def scores_like(job: wire.Job, rows: int, name: str) -> PredealPlan:
    """What is dealt for so many rows to score by this training's model. Raises PlanError as `as_before`."""
    return validate(PredealPlan, {**for_scores(as_before(job, scores=True)), "rows": rows, "name": name}, "plan", PlanError)
