"""A party's own section `[card]`: what a model is for, and what its columns mean. For the report; no job reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from common.config import StrictModel


class ColumnCard(StrictModel):
    """What one of the party's own columns means."""

    meaning: str = Field(default="", max_length=200, description="What it measures, in a sentence.")
    unit: str = Field(default="", max_length=40, description="The unit of its values, such as CNY or kWh.")
    window: str = Field(default="", max_length=80, description="The time that it looks back over, such as 12 months.")
    as_of: str = Field(default="", max_length=80, description="When its value is known, such as the end of the row's month.")
    sign: Literal["", "+", "-"] = Field(
        default="", description="The sign it should have: + raises the risk as it grows, - lowers it. The report compares."
    )


class Card(StrictModel):
    """The model card: what the report says of purpose, target and limits, in its owner's words."""

    purpose: str = Field(default="", max_length=1000, description="What decisions the model is for.")
    target: str = Field(default="", max_length=1000, description="What the label 1 means, and over which months.")
    days_past_due: int | None = Field(default=None, ge=0, le=3650, description="From how many days past due the label is 1.")
    population: str = Field(default="", max_length=1000, description="Whose rows these are.")
    exclusions: str = Field(default="", max_length=1000, description="Who was left out of them, and why.")
    owner: str = Field(default="", max_length=200, description="Who answers for the model.")
    limits: str = Field(default="", max_length=1000, description="What the model must not be used for, and its assumptions.")
    columns: dict[str, ColumnCard] = Field(default_factory=dict, description="What columns mean, by name.")

    @property
    def facts(self) -> dict[str, str]:
        """The entries in the order of a card, "" for what is not told."""
        told = {name: str(getattr(self, name)) for name in ("purpose", "target", "population", "exclusions", "owner", "limits")}
        days = "" if self.days_past_due is None else str(self.days_past_due)
        return {"purpose": told.pop("purpose"), "target": told.pop("target"), "days_past_due": days, **told}

    @property
    def missing(self) -> tuple[str, ...]:
        """The entries not told."""
        return tuple(name for name, text in self.facts.items() if not text.strip())
