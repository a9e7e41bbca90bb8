"""A plan that deals ahead what one training consumes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from common.plan.linear import Model
from common.plan.request import Request


class PredealPlan(Request):
    """Deal ahead what one training of this size consumes; both parties store it and use it once."""

    kind: Literal["predeal"] = "predeal"
    model: Model = Field(default=Model(), description="How to train, as in the training plan.")
    rows: int = Field(ge=1, le=2**31, description="Training rows, at least as many as there will be.")
    grid_columns: int = Field(ge=1, le=100_000, description="The grid's trained columns, at least as many as there will be.")
    bank_columns: int = Field(ge=1, le=100_000, description="The bank's likewise, its intercept included.")

    @model_validator(mode="after")
    def _can_be_dealt(self) -> PredealPlan:
        self.model.check_ahead()
        return self
