"""Plans made after a training that is over: what is dealt ahead for more like it, and for rows that its model scores."""

from __future__ import annotations

from typing import Any

from common.config import validate
from common.errors import PlanError
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.wire import coordinator_pb2 as wire


def as_before(job: wire.Job, *, scores: bool = False) -> dict[str, Any]:
    """A predeal plan's keys for a training like this one, with the same bank.

    Raises PlanError for a job that has trained nothing.

    scores: for scores by its model alone, which may be one of several banks; then it names none of them.
    """
    grid, bank = job.grid.report.counts, job.bank.report.counts
    if job.kind != "train" or not (grid.trained_columns and bank.trained_columns):
        raise PlanError(f"job {job.id} has trained nothing", remedy="Name a training job that succeeded.")
    sizes = {"rows": grid.train_rows + grid.train_rows // 20, "grid_columns": grid.trained_columns}
    plan = parse_plan(job.plan)
    model = plan.model if scores and isinstance(plan, SeveralPlan) else training_of(plan, job.id).model
    named = {} if plan.bank_named is None else {"with_bank": str(plan.bank_named)}
    return {"model": model, **sizes, "bank_columns": bank.trained_columns, **named}


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
    """The keys for one scoring job by whatever model of these columns, or of as many trees, of those for a training."""
    model = raw.get("model")
    if model is not None and model.undealt:
        raise PlanError(
            "models of a training that nobody deals for take no stock",
            remedy="Score by them with dealer = 'none', dealt online.",
        )
    by_columns = model is None or model.scored is None
    kept = {k: v for k, v in raw.items() if k == "with_bank" or (by_columns and k.endswith("_columns"))}
    return {"model": {} if model is None else model.scoring, "serves": "scores", **kept}


def scores_like(job: wire.Job, rows: int, name: str, bank: Identity | None = None, reasons: int = 0) -> PredealPlan:
    """What is dealt for so many rows to score by this training's model. Raises PlanError as `as_before`.

    bank: which one is to score, of several; default: that of the training, or the coordinator's first. reasons: of so many
    texts of the grid's too.
    """
    raw = {**for_scores(as_before(job, scores=True)), "rows": rows, "name": name, "reasons": reasons}
    named = {} if bank is None else {"with_bank": str(bank)}
    return validate(PredealPlan, raw | named, "plan", PlanError)
