"""The learners that parties know: one row each. What the dealer knows of them is in `dealings`, which loads no rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from common.errors import PlanError
from common.learn.learner import Half, Learner, Packed, Telling
from common.learn.linear import cost as linear_cost
from common.learn.linear.half import ClosedModel
from common.learn.linear.learner import Linear
from common.learn.linear.reasons import check_groups, tell_groups
from common.learn.linear.score import Scores as LinearScores
from common.learn.network.learner import NetworkLearner
from common.learn.trees.learner import TreeLearner
from common.mpc.correlations.asked import Correlations
from common.mpc.cost import Cost
from common.mpc.narrow import Bytes
from common.mpc.session import Session
from common.party import Party
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.section import Section
from common.plan.trees import Trees

TABLE: dict[type[Section], Learner[Any]] = {Model: Linear(), Trees: TreeLearner(), Network: NetworkLearner()}


ON_REQUEST: dict[str, Callable[..., Awaitable[LinearScores]]] = {Linear.name: LinearScores.begin}
"""Learners whose models score rows one after another, within one session."""


@dataclass(frozen=True)
class Reasons:
    """How both tell the bank which of the grid's columns raise a score, of models that nobody holds; and its bytes.

    check: raises for more groups of columns than are told apart.
    """

    check: Callable[[Session, int], None]
    tell: Callable[..., Awaitable[Bytes | None]]
    cost: Callable[[Party, int, int, int, int], Cost]


REASONS: dict[str, Reasons] = {Linear.name: Reasons(check_groups, tell_groups, linear_cost.reasons)}
"""Learners of whose models they can."""


def learner_of(section: Section) -> Learner[Any]:
    """The learner that a plan's section is of."""
    return TABLE[type(section)]


def named(name: str) -> Learner[Any]:
    """The learner of this name; raises KeyError for another."""
    return {learner.name: learner for learner in TABLE.values()}[name]


async def begin_scores(session: Session, correlations: Correlations, half: Half, rows: int, telling: Telling) -> LinearScores:
    """What scores one table after another by the model of this half, in all at most so many rows.

    Raises PlanError for a learner whose rows are scored all at once.
    """
    begin = ON_REQUEST.get(half.learner)
    if begin is None:
        raise PlanError(
            f"rows are not scored on request by models of kind {half.learner}",
            remedy="Score matched rows, with on_request = 0.",
        )
    return await begin(session, correlations, half, rows, telling)


def pack(half: Half) -> Packed:
    """The bytes of a model's two files."""
    return named(half.learner).pack(half)


def line_of(half: Half, bank: str) -> Half:
    """The half that scores together with this bank, of a model of several; any other model as it is.

    Raises PlanError for a model of several banks without this one.
    """
    return half.line(bank) if isinstance(half, ClosedModel) and half.banks else half


def parse(head: Any, arrays: bytes) -> Half:
    """What `pack` wrote; raises an error of some kind for anything else. Files of before there were several are linear."""
    return named(head.get("learner", "linear")).parse(head, arrays)
