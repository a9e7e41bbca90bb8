"""`pipeline.toml`: when a new model is made, of what, who has to agree, and what it must not change too much."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from common.config import StrictModel, read_toml, validate
from common.disk.expand import expand
from common.errors import PlanError
from common.plan.read import load_plan
from common.plan.score import ScorePlan, check_months
from common.plan.train import TrainPlan

_PATHS = frozenset({"client", "plan", "reports", "records", "out", "quality"})


class FeaturesStep(StrictModel):
    """One file of features to make anew, as `wattscore features` does it."""

    records: Path = Field(description="The configuration of the bank's records.")
    out: Path = Field(description="The Parquet file of features to write, which a dataset of bank.toml names.")
    quality: Path | None = Field(default=None, description="Folder for the page on the records' quality.")


class ShadowStep(StrictModel):
    """Rows that the new model scores beside the champion before it takes its place; the grid's budget is charged for them."""

    grid_dataset: str = Field(description="The grid's dataset to score.")
    bank_dataset: str = Field(description="The bank's dataset to score.")
    by_period: bool = Field(default=False, description="Rows are (enterprise, month).")
    months: tuple[str, ...] = Field(default=(), description="By period: these months alone, YYYY-MM, or newest.")
    purpose: str = Field(default="", max_length=100, description="What for, as a grant of a dataset says.")
    least_rows: int = Field(default=200, ge=20, description="Rows that both models must have scored for a comparison.")
    most_psi: float = Field(default=0.25, gt=0.0, description="Most that the distribution of probabilities may move (PSI).")
    least_rank: float = Field(default=0.5, ge=-1.0, le=1.0, description="Least rank correlation of the two models' scores.")
    most_otherwise: float = Field(default=0.3, ge=0.0, le=1.0, description="Largest share of rows that are decided otherwise.")

    @field_validator("months")
    @classmethod
    def _are_months(cls, months: tuple[str, ...]) -> tuple[str, ...]:
        return check_months(months)

    @model_validator(mode="after")
    def _months_are_of_monthly_rows(self) -> Self:
        if self.months and not self.by_period:
            raise ValueError("months are of monthly rows: set by_period = true")
        return self


class PipelineConfig(StrictModel):
    """`pipeline.toml`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="The pipeline's name: small letters, digits, hyphens.")
    client: Path = Field(description="The configuration of the client that submits its jobs.")
    plan: Path = Field(description="The training plan.")
    every_days: float | None = Field(
        default=None, gt=0.0, description="A run begins so many days after the last one began. None: not by time."
    )
    on_drift: bool = Field(default=False, description="A run begins at a new alarm of `bank-party monitor`.")
    people: int = Field(
        default=2, ge=1, le=10, description="People of the bank who have to approve the model, each by an account of their own."
    )
    reports: Path = Field(default=Path("pages/pipeline"), description="Folder for the report of each run's model.")
    features: tuple[FeaturesStep, ...] = Field(default=(), description="Files of features that a run makes first.")
    shadow: ShadowStep | None = Field(default=None, description="Compare with the champion on other rows. None: no shadow.")


def load_pipeline(path: Path) -> PipelineConfig:
    """The pipeline at `path`; paths in it are relative to its folder. Raises ConfigError."""
    raw = expand(read_toml(path), _PATHS, str(path))
    found, folder = validate(PipelineConfig, raw, str(path)), path.resolve().parent
    features = tuple(
        step.model_copy(
            update={
                "records": folder / step.records,
                "out": folder / step.out,
                "quality": None if step.quality is None else folder / step.quality,
            }
        )
        for step in found.features
    )
    paths = {name: folder / getattr(found, name) for name in ("client", "plan", "reports")}
    return found.model_copy(update={**paths, "features": features})


def train_plan(config: PipelineConfig) -> TrainPlan:
    """The plan of its trainings. Raises PlanError for one that trains no model of one bank, ConfigError for no file."""
    plan = load_plan(config.plan)
    if not isinstance(plan, TrainPlan):
        raise PlanError(f"{config.plan}: not a training plan with one bank", remedy="Name such a plan under `plan`.")
    return plan


def score_plan(shadow: ShadowStep, model: str, name: str = "", with_bank: str | None = None) -> ScorePlan:
    """The plan by which this model scores the shadow's rows."""
    return ScorePlan.model_validate(
        {
            "name": name,
            "model": model,
            "grid": {"dataset": shadow.grid_dataset},
            "bank": {"dataset": shadow.bank_dataset},
            "keys": ("id", "period") if shadow.by_period else ("id",),
            "months": shadow.months,
            "purpose": shadow.purpose,
            "with_bank": with_bank,
        }
    )
