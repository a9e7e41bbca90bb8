"""A plan that scores rows by a trained model."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from common.disclosure import Opened
from common.plan.request import Plan, check_month

NEWEST = "newest"


def check_months(months: tuple[str, ...]) -> tuple[str, ...]:
    """The same. Raises ValueError for one that is neither YYYY-MM nor `newest`."""
    return tuple(check_month(month, NEWEST) for month in months)


class ScorePlan(Plan):
    """Align, prepare as the model did, score; the scores go to the bank."""

    kind: Literal["score"] = "score"
    model: str = Field(description="The training job whose model scores, or champion: the one both parties promoted.")
    min_matched: int = Field(default=1, ge=1, description="Matched enterprises.")
    grid_reasons: int = Field(default=0, ge=0, le=2, description="Most reasons of the grid's columns told for each row.")
    dealt: Literal["online", "ahead"] = Field(
        default="online",
        description="When scoring by a model that nobody holds is dealt its randomness: meanwhile, or by `wattscore predeal`.",
    )
    dealer: Literal["whole", "none"] = Field(
        default="whole",
        description="none: nobody deals, for models whose weights their owners hold, or that were trained so;"
        " with matching = 'ecdh'.",
    )
    on_request: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        description="Rows are scored as the bank asks for them, until it ends the job, from stocks for this many or more."
        " 0: all matched rows, at once.",
    )
    months: tuple[str, ...] = Field(
        default=(),
        description="Rows of these months alone, YYYY-MM, or newest: the last month of each dataset, which must be the same."
        " Default: all months.",
    )
    drift: bool = Field(default=True, description="Each side reports its largest stability index and its number of alarms.")

    @field_validator("months")
    @classmethod
    def _are_months(cls, months: tuple[str, ...]) -> tuple[str, ...]:
        return check_months(months)

    @model_validator(mode="after")
    def _can_be_asked(self) -> ScorePlan:
        if self.undealt and self.aided:
            raise ValueError("dealer = 'none' does not go with matching = 'neutral': set matching = 'ecdh'")
        if self.undealt and self.dealt == "ahead":
            raise ValueError("dealer = 'none': nothing is dealt, so nothing is ahead: leave out dealt = 'ahead'")
        if self.months and "period" not in self.keys:
            raise ValueError('months are of monthly rows: set keys = ["id", "period"]')
        if self.months and self.on_request:
            raise ValueError("a row that is asked for names its month: leave out months")
        return self

    def _fields(self) -> dict[str, Any]:
        """Without months where it has none, and a dealer where it has one: the same as before there could be other ones."""
        fields = super()._fields()
        if not self.undealt:
            del fields["dealer"]
        if not self.months:
            del fields["months"]
        return fields

    @property
    def undealt(self) -> bool:
        return self.dealer == "none"

    @property
    def needs(self) -> frozenset[Opened]:
        asked = {Opened.GRID_REASONS: self.grid_reasons, Opened.DRIFT: self.drift}
        return super().needs | {Opened.SCORES} | {opened for opened, wanted in asked.items() if wanted}
