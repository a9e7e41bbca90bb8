"""A plan that trains a model on both parties' rows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from common.config import StrictModel
from common.disclosure import Opened
from common.features.options import Preparation
from common.plan.request import Plan, check_month
from common.plan.sections import DEFAULT, AnySection


class Split(StrictModel):
    """Which matched rows are held out: drawn by the bank from a keyed hash of id and period."""

    by: Literal["row", "enterprise", "time"] = Field(
        default="row",
        description="Hold out single rows, whole enterprises, or the last months (keys with period)."
        " With period in keys the default is enterprise: months of one enterprise are not independent.",
    )
    test: float = Field(default=0.3, gt=0.0, lt=1.0, description="Share of rows or enterprises held out to measure on.")
    months: int = Field(default=3, ge=1, le=1200, description="How many of the last months are held out by time.")
    seed: int = Field(default=42, ge=0, lt=2**63, description="The same seed holds out the same rows.")
    stratify: bool = Field(default=True, description="Hold out this share of each class; not by time.")


class Limits(StrictModel):
    """The smallest data this plan accepts. Each party's policy has floors of its own, below which it refuses a plan."""

    min_matched: int = Field(default=1000, ge=1, description="Matched enterprises.")
    min_rows: int = Field(default=1000, ge=1, description="Training rows.")
    rows_per_column: int = Field(default=20, ge=1, description="Training rows for each trained column of both sides together.")


class TrainPlan(Plan):
    """Align, prepare, train, reveal, evaluate."""

    kind: Literal["train"] = "train"
    split: Split = Split()
    preparation: Preparation = Preparation()
    model: AnySection = DEFAULT
    limits: Limits = Limits()
    challenge: bool = Field(
        default=False,
        description="Measure the champion on the same held-out rows; these are then scored by one more model.",
    )
    dealt: Literal["online", "ahead"] = Field(
        default="online",
        description="When training is dealt its randomness: while it runs, or before, by `wattscore predeal`.",
    )
    until: str | None = Field(
        default=None,
        description="Rows up to this month alone, YYYY-MM, as a training then would have had. Default: all months.",
    )

    @field_validator("until")
    @classmethod
    def _is_month(cls, month: str | None) -> str | None:
        return None if month is None else check_month(month)

    @model_validator(mode="before")
    @classmethod
    def _whole_enterprises(cls, raw: Any) -> Any:
        """Rows of months are split by enterprise unless the plan says how."""
        if not isinstance(raw, dict) or "period" not in raw.get("keys", ()):
            return raw
        split = raw.get("split", {})
        if isinstance(split, dict) and "by" not in split:
            return {**raw, "split": {**split, "by": "enterprise"}}
        return raw

    @model_validator(mode="after")
    def _can_be_dealt(self) -> TrainPlan:
        if self.dealt == "ahead":
            self.model.check_ahead()
        return self

    @model_validator(mode="after")
    def _fits_half_a_dealer(self) -> TrainPlan:
        if not (self.model.half_dealt or self.model.undealt):
            return self
        wrong = ["preparation.coding = 'woe'"] if self.preparation.coding == "woe" else []
        wrong += ["challenge = true"] if self.challenge and self.model.half_dealt else []
        kind = "none" if self.model.undealt else "half"
        if wrong:
            raise ValueError(f"model.dealer = {kind!r} does not go with {', '.join(wrong)}: these take masks that are dealt")
        if self.model.undealt and self.aided:
            raise ValueError("model.dealer = 'none' does not go with matching = 'neutral': set matching = 'ecdh'")
        return self

    @model_validator(mode="after")
    def _time_needs_periods(self) -> TrainPlan:
        if self.split.by == "time" and "period" not in self.keys:
            raise ValueError('split.by = "time" needs keys = ["id", "period"]')
        if self.until is not None and "period" not in self.keys:
            raise ValueError('until is of monthly rows: set keys = ["id", "period"]')
        return self

    def _fields(self) -> dict[str, Any]:
        """Without a last month where it has none: the same as before there could be one."""
        fields = super()._fields()
        if self.until is None:
            del fields["until"]
        return fields

    @property
    def mixes_enterprises(self) -> bool:
        """Whether months of one enterprise may stand on both sides of the split."""
        return self.split.by == "row" and "period" in self.keys

    @property
    def undealt(self) -> bool:
        return self.model.undealt

    @property
    def needs(self) -> frozenset[Opened]:
        counts = {Opened.BIN_COUNTS} if self.preparation.coding == "woe" else set()
        return super().needs | self.model.opens | counts | {Opened.SPLIT, Opened.TEST_SCORES, Opened.METRICS}
