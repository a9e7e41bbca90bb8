"""What a plan says about the preparation of each party's columns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from common.config import StrictModel


class Preparation(StrictModel):
    """Both parties use the same options, each on its own columns."""

    clip: float = Field(default=4.0, gt=0, description="Standardised values are clipped at this many deviations.")
    rare: Literal["drop", "refuse"] = Field(
        default="drop", description="What happens to columns below min_binary: left out with a warning, or a refusal."
    )
    min_binary: int = Field(
        default=50,
        ge=0,
        description="A binary column needs this many ones and zeros among the matched rows: the final weight of an"
        " indicator of one company would tell that company's label.",
    )
    collinear: float = Field(
        default=1e-6,
        gt=0,
        lt=1,
        description="A column is left out if the columns before it leave less than this share of its variance.",
    )
    coding: Literal["linear", "auto", "bins", "woe"] = Field(
        default="auto",
        description="linear: numbers standardised, categories one-hot; auto: numbers also as indicators of frequent values and"
        " as lines that bend, as many as rows allow; bins: every column cut into bins, one-hot; woe: a column's bins as weights"
        " of evidence, for which the grid learns labels of each class by bin.",
    )
    bins: int = Field(
        default=10,
        ge=2,
        le=50,
        description="Bins of a column at most, of about equally many rows; missing values come on top.",
    )
    monotone: bool = Field(
        default=False, description="Neighbouring bins of a numeric column are pooled until the weight of evidence is monotone."
    )
    min_bin_rows: int = Field(default=50, ge=1, description="Training rows of a bin; smaller ones are merged with a neighbour.")
    min_bin_class: int = Field(
        default=5,
        ge=1,
        le=20,
        description="Training rows of each class in a bin, for woe; smaller ones are merged unopened.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Preparation:
        if self.monotone and self.coding != "woe":
            raise ValueError("monotone bins go with coding = 'woe'")
        return self


def least_rows(options: Preparation) -> int:
    """Training rows of a bin or a piece: an indicator of fewer than min_binary would mark few companies."""
    return max(options.min_bin_rows, options.min_binary, 1)
