"""The bank's own `[decision]` section: how a score becomes points, a grade and a decision. Never part of a plan."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from common.config import StrictModel


class DecisionConfig(StrictModel):
    """Points: score = base_score + pdo / ln 2 * ln(odds / base_odds), odds being good to bad, (1 - p) / p.

    What scales the scorecard (pdo, base_score, base_odds, calibration, validation, grades) is fixed when a model is
    trained; approve, decline, reasons and output are read anew by each scoring job.
    """

    pdo: float = Field(default=20.0, ge=5.0, le=1000.0, description="Points that double the odds of good to bad.")
    base_score: float = Field(default=600.0, ge=-10_000.0, le=10_000.0, description="The score at base_odds.")
    base_odds: float = Field(default=50.0, gt=0.0, le=1e6, description="Good to bad: 50 is one overdue in 51.")
    calibration: Literal["platt", "isotonic", "none"] = Field(
        default="platt", description="How log-odds become probabilities: a line, a monotone curve, or as they are."
    )
    validation: float = Field(
        default=0.4,
        gt=0.0,
        lt=1.0,
        description="Share of held-out rows that calibrate and cut grades; the others test both.",
    )
    grades: int = Field(default=10, ge=1, le=50, description="Grades of equal numbers of rows, before merging.")
    min_grade_rows: int = Field(default=50, ge=1, description="Grades of fewer validation rows are merged.")
    cutoff: Literal["probability", "score"] = Field(
        default="probability", description="What approve and decline are: probabilities of overdue, or scores."
    )
    approve: float = Field(default=0.05, description="Approved up to this probability, or from this score up.")
    decline: float = Field(default=0.15, description="Declined above this probability, or below this score.")
    loss_given_default: float = Field(default=0.45, ge=0.0, le=1.0, description="Share of the exposure lost when overdue.")
    margin: float = Field(default=0.03, ge=0.0, le=1.0, description="Share of the exposure earned when it is repaid.")
    exposure: str | None = Field(default=None, description="A numeric column of the bank with each row's exposure; default 1.")
    segments: tuple[str, ...] = Field(default=(), description="Columns of the bank by which the report breaks down.")
    reasons: int = Field(default=3, ge=0, le=8, description="Most reasons of the bank's own columns given for a row.")
    reason_threshold: float = Field(
        default=0.1, ge=0.0, le=10.0, description="Log-odds by which a column must speak against a row to be a reason."
    )
    output: Literal["csv", "parquet"] = Field(default="csv", description="The format of scores/JOB.")

    @model_validator(mode="after")
    def _in_order(self) -> DecisionConfig:
        if self.cutoff == "probability" and not 0.0 < self.approve <= self.decline < 1.0:
            raise ValueError("as probabilities, approve and decline must be between 0 and 1, approve not above decline")
        if self.cutoff == "score" and not self.approve >= self.decline:
            raise ValueError("as scores, approve must not be below decline")
        return self
