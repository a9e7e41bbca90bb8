"""The learners that parties know: one row each. What the dealer knows of them is in `dealings`, which loads no rows."""

from __future__ import annotations

from typing import Any

from common.learn.learner import Half, Learner, Packed
from common.learn.linear.learner import Linear
from common.learn.trees.learner import TreeLearner
from common.plan.linear import Model
from common.plan.section import Section
from common.plan.trees import Trees

TABLE: dict[type[Section], Learner[Any]] = {Model: Linear(), Trees: TreeLearner()}


def learner_of(section: Section) -> Learner[Any]:
    """The learner that a plan's section is of."""
    return TABLE[type(section)]


def named(name: str) -> Learner[Any]:
    """The learner of this name; raises KeyError for another."""
    return {learner.name: learner for learner in TABLE.values()}[name]


def pack(half: Half) -> Packed:
    """The bytes of a model's two files."""
    return named(half.learner).pack(half)


def parse(head: Any, arrays: bytes) -> Half:
    """What `pack` wrote; raises an error of some kind for anything else. Files of before there were several are linear."""
    return named(head.get("learner", "linear")).parse(head, arrays)
