"""A plan that deals ahead what one training consumes, or the scoring of so many rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from common.plan.request import OneBank
from common.plan.sections import DEFAULT, AnySection

AT_ONCE = 64  # stocks that a party may hold


class PredealPlan(OneBank):
    """Deal ahead what one training of this size consumes, or one scoring; both parties store it and use it once."""

    kind: Literal["predeal"] = "predeal"
    serves: Literal["training", "scores"] = Field(
        default="training", description="training: one training; scores: one scoring job by a model that nobody holds."
    )
    model: AnySection = Field(
        default=DEFAULT, description="How to train, as in the training plan; for scores the learner alone."
    )
    rows: int = Field(ge=1, le=2**31, description="Rows to train on, or to score: at least as many as there will be.")
    grid_columns: int = Field(
        ge=1,
        le=100_000,
        description="The grid's trained columns: for scores those of the model, of boosted trees how many trees; for a training"
        " a few more.",
    )
    bank_columns: int = Field(
        ge=1, le=100_000, description="The bank's likewise, its intercept included; for scores by trees their depth."
    )
    score_bits: int = Field(default=5, ge=0, le=20, description="For scores: as in the scoring plan.")

    @model_validator(mode="after")
    def _can_be_dealt(self) -> PredealPlan:
        if self.serves == "training":
            self.model.check_ahead()
        else:
            self.model.check_scored(self.grid_columns, self.bank_columns)
        return self
