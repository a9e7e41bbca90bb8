"""A plan that changes which model is the champion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from common.disclosure import Opened
from common.plan.request import OneBank


class PromotePlan(OneBank):
    """Make a model the champion at both parties, or the one before it again."""

    kind: Literal["promote"] = "promote"
    action: Literal["promote", "rollback"] = Field(default="promote", description="Promote `model`, or undo the last time.")
    model: str | None = Field(default=None, description="The training job whose model becomes the champion.")
    force: bool = Field(default=False, description="Also a model that is significantly worse than the champion.")
    anew: bool = Field(
        default=False, description="Where the parties' histories differ, as after a restored back-up, begin a new one."
    )

    @model_validator(mode="after")
    def _one_model(self) -> PromotePlan:
        if (self.action == "promote") != (self.model is not None):
            raise ValueError("promote needs a model, and rollback takes none")
        if self.anew and self.model is None:
            raise ValueError("anew begins with a promotion")
        return self

    @property
    def allowed(self) -> frozenset[Opened]:
        compared = {Opened.METRICS} if self.action == "promote" else set()  # with the champion, at the bank
        return frozenset({Opened.COUNTS} | compared)
