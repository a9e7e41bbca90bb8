"""What a plan says about the preparation of each party's columns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
