"""The section of a plan that trains boosted trees."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from common.disclosure import Opened
from common.plan.section import Floors, Section

LEAST_CANDIDATES = 2
MOST_TREES, MOST_DEPTH = 1000, 6
_UNSAID: Any = None  # follows other fields
_MANY, _SLOW = 60, 0.25  # trees and their rate, of which two from the same gradients rank as well as one after the other


class Trees(Section):
    """How to train boosted trees: symmetric ones, each level of which splits every node by the same threshold."""

    kind: Literal["trees"] = Field(description="trees: boosted trees on shares.")
    trees: int = Field(default=80, ge=1, le=MOST_TREES, description="How many.")
    depth: int = Field(default=3, ge=1, le=MOST_DEPTH, description="Levels of a tree: it has 2^depth leaves.")
    rate: float = Field(default=0.25, gt=0.0, le=1.0, description="What each tree's leaves are multiplied by.")
    bins: int = Field(
        default=16,
        ge=2,
        le=50,
        description="Bins of a column at most, of about equally many rows, between its thresholds; fewer where rows are few."
        " Missing values are one of their own.",
    )
    candidates: int = Field(
        default=32,
        ge=LEAST_CANDIDATES,
        le=128,
        description="Thresholds of both sides that each tree looks at, drawn anew for each.",
    )
    ridge: float = Field(
        default=0.1,
        ge=0.01,
        le=1.0,
        description="Of a split's gain G^2 / (H + ridge n / 4): a large one leaves alone what moves few rows.",
    )
    leaf_ridge: float = Field(
        default=0.003, ge=0.001, le=1.0, description="Of a leaf -rate G / (H + leaf_ridge n / 4): holds back what few rows say."
    )
    sample: int = Field(
        default=131_072,
        ge=1000,
        le=131_072,
        description="Training rows that trees are grown on at most, evenly taken from all.",
    )
    abreast: int = Field(
        default=_UNSAID,
        ge=1,
        le=16,
        description="Trees grown side by side from the same gradients: as many times fewer messages one after another. Default:"
        " 2 of 60 trees or more at a rate of 0.25 or less, which rank as well; else 1. For slow lines 4, at a rate of 0.15.",
    )
    monotone: bool = Field(
        default=False,
        description="Leaves are put in order where an owner declared its column monotone: the other side learns of each level"
        " in which direction, and a tree takes 2 depth + 1 messages more.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Of the draw of candidates.")

    @field_validator("abreast", mode="before")
    @classmethod
    def _as_many_as_rank_as_well(cls, said: Any, info: ValidationInfo) -> Any:
        if said is not _UNSAID:
            return said
        slow = info.data.get("trees", 0) >= _MANY and info.data.get("rate", 1.0) <= _SLOW
        return 2 if slow else 1

    @property
    def closed(self) -> bool:
        """Always: leaves stay shared."""
        return True

    @property
    def opens(self) -> frozenset[Opened]:
        return frozenset({Opened.TREE_SPLITS})

    @property
    def reach(self) -> float:
        return 12.0

    @property
    def calibrated(self) -> bool:
        """A slow rate and a held-back leaf leave log-odds a little short of what fits."""
        return False

    @property
    def scoring(self) -> Trees:
        return Trees(kind="trees", trees=self.trees, depth=self.depth)

    @property
    def scored(self) -> dict[str, int]:
        """Rows walk through trees, whatever the columns are."""
        return {"trees": self.trees, "depth": self.depth}

    def refused(self, floors: Floors) -> list[str]:
        if self.trees < floors.min_iterations:
            return [f"trees = {self.trees} (at least {floors.min_iterations})"]
        return []

    def check_ahead(self) -> None:
        pass
