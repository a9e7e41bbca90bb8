"""From a plan's section and the size of a training to the forest, and how the dealer deals for it. PROTOCOL.md section 14."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from common.errors import PlanError
from common.learn.trees.deal import Growing, TreesDemand
from common.learn.trees.forest import Forest, Index, Shape
from common.mpc.dealer import Dealt, Prgs
from common.plan.predeal import PredealPlan
from common.plan.request import Request
from common.plan.train import TrainPlan
from common.plan.trees import Trees


class Sizes(Protocol):
    """The size of a training: its rows, and each side's trained columns, an intercept among the bank's."""

    @property
    def rows(self) -> int: ...

    @property
    def grid_columns(self) -> int: ...

    @property
    def bank_columns(self) -> int: ...


def make_forest(section: Trees, size: Sizes) -> Forest:
    """The forest of a training of this size, whose columns are thresholds and, at the bank, an intercept that trees lack."""
    return Forest(
        rows=min(size.rows, section.sample),
        thresholds=(size.grid_columns, max(1, size.bank_columns - 1)),
        shape=Shape(section.trees, section.depth),
        rate=section.rate,
        candidates=section.candidates,
        ridge=section.ridge,
        leaf_ridge=section.leaf_ridge,
        seed=section.seed,
        abreast=section.abreast,
        monotone=section.monotone,
    )


def sampled(rows: int, section: Trees) -> Index:
    """The places of the rows that trees are grown on: all, or as many as the plan says, evenly taken."""
    count = min(rows, section.sample)
    return np.arange(count, dtype=np.int64) * rows // count


def deal_trees(prg: Prgs, demand: TreesDemand, plan: Request, memory: int) -> Iterator[Dealt]:
    """All that the growing of `plan`'s trees consumes. Raises PlanError for a plan that grows none."""
    del memory  # masks are expanded when they are needed
    if not isinstance(plan, TrainPlan | PredealPlan) or not isinstance(plan.model, Trees):
        raise PlanError("this job grows no trees")
    yield from Growing(prg, make_forest(plan.model, demand)).deal()
