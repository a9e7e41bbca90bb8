"""The learners that parties know: one row each. What the dealer knows of them is in `dealings`, which loads no rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from common.errors import LocalProtocolError, PlanError
from common.learn.dealt_ahead import Ahead
from common.learn.lanes import Lanes
from common.learn.learner import Half, Learner, Packed, RowScores, Size, Telling
from common.learn.linear import cost as linear_cost
from common.learn.linear import lane as linear_lane
from common.learn.linear import reasons as linear_reasons
from common.learn.linear.banks import LinearOfSeveral
from common.learn.linear.half import ClosedModel, CommittedModel
from common.learn.linear.learner import Linear
from common.learn.linear.score import Scores as LinearScores
from common.learn.network import cost as network_cost
from common.learn.network import reasons as network_reasons
from common.learn.network.activations import NAMES
from common.learn.network.banks import NetworkOfSeveral
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.half import NetworkModel
from common.learn.network.learner import NetworkLearner
from common.learn.network.score import Scores as NetworkScores
from common.learn.several import SeveralLearner
from common.learn.trees import cost as tree_cost
from common.learn.trees import reasons as tree_reasons
from common.learn.trees.asked import Scores as TreeScores
from common.learn.trees.banks import TreesOfSeveral
from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.learn.trees.half import TreesHalf
from common.learn.trees.learner import TreeLearner
from common.mpc.correlations.asked import Correlations
from common.mpc.cost import Cost
from common.mpc.narrow import Bytes
from common.mpc.ranks.find import Ranking
from common.mpc.session import Session
from common.party import Party
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.section import Section
from common.plan.trees import Trees
from common.rows.table import FeatureTable

TABLE: dict[type[Section], Learner[Any]] = {Model: Linear(), Trees: TreeLearner(), Network: NetworkLearner()}


ON_REQUEST: dict[str, Callable[..., Awaitable[RowScores]]] = {
    Linear.name: LinearScores.begin,
    TreeLearner.name: TreeScores.begin,
    NetworkLearner.name: NetworkScores.begin,
}
"""Learners whose models score rows one after another, within one session."""


@dataclass(frozen=True)
class Reasons:
    """How both tell the bank which of the grid's columns raise a score, of models of a kind that nobody holds.

    cost, rounds: bytes, and messages one after another, of so many groups and at most so many codes a row, by a model that
    this section trained. again: whether rows are scored once more without each group. ahead, asked: what is dealt for telling
    them of rows that are asked for, and who tells them.
    """

    tell: Callable[..., Awaitable[Bytes | None]]
    cost: Callable[[Party, Any, Size, int, int], Cost]
    rounds: Callable[[Any, Size, int], int]
    again: bool
    ahead: Callable[[Any, Size, int], Ahead]
    asked: Callable[..., Awaitable[AskedGroups]]


class AskedGroups(Protocol):
    """What ranks groups of the grid's columns in rows that are asked for."""

    @property
    def held(self) -> int:
        """How many values of the grid were held at what it takes."""

    async def post(self, table: FeatureTable) -> Ranking:
        """Finds with the other party what groups contribute in these rows, and sends this one's half of it, masked."""


def _by_trees(section: Trees, size: Size, groups: int) -> TreeReasonsDemand:
    return TreeReasonsDemand(size.rows, section.trees, section.depth, groups)


def _by_network(section: Network, size: Size, groups: int) -> NetworkReasonsDemand:
    activation = NAMES.index(section.activation)
    return NetworkReasonsDemand(size.rows, size.grid_columns, size.bank_columns, section.hidden, groups, activation)


REASONS: dict[str, Reasons] = {
    Linear.name: Reasons(
        linear_reasons.tell_groups,
        lambda party, section, size, groups, most: linear_cost.reasons(party, size.rows, size.grid_columns, groups, most),
        lambda section, size, groups: linear_cost.reasons_rounds(size.rows, size.grid_columns, groups),
        again=False,
        ahead=linear_reasons.asked_ahead,
        asked=linear_reasons.begin_asked,
    ),
    TreeLearner.name: Reasons(
        tree_reasons.tell_groups,
        lambda party, section, size, groups, most: tree_cost.reasons(party, _by_trees(section, size, groups), most),
        lambda section, size, groups: tree_cost.reasons_rounds(_by_trees(section, size, groups)),
        again=True,
        ahead=tree_reasons.asked_ahead,
        asked=tree_reasons.ByGroups.begin,
    ),
    NetworkLearner.name: Reasons(
        network_reasons.tell_groups,
        lambda party, section, size, groups, most: network_cost.reasons(party, _by_network(section, size, groups), most),
        lambda section, size, groups: network_cost.reasons_rounds(_by_network(section, size, groups)),
        again=True,
        ahead=network_reasons.asked_ahead,
        asked=network_reasons.ByGroups.begin,
    ),
}
"""By the name of the learner."""


SEVERAL: dict[type[Section], SeveralLearner[Any]] = {
    Model: LinearOfSeveral(),
    Network: NetworkOfSeveral(),
    Trees: TreesOfSeveral(),
}
"""What several banks train."""


def several_of(section: Section) -> SeveralLearner[Any]:
    """How several banks train what this section is of."""
    return SEVERAL[type(section)]


RUNS: dict[str, Lanes] = {linear_lane.LEARNER: Lanes(linear_lane.Run, linear_lane.rows_of)}
"""Whose trainings are cut into runs of rows, by the name of the learner."""


def runs_of(name: str) -> Lanes:
    """The runs of rows of a learner of this name. Raises LocalProtocolError for one whose rows stay together."""
    if (found := RUNS.get(name)) is None:
        raise LocalProtocolError("this learner has no runs of rows", got=name)
    return found


def learner_of(section: Section) -> Learner[Any]:
    """The learner that a plan's section is of."""
    return TABLE[type(section)]


def named(name: str) -> Learner[Any]:
    """The learner of this name; raises KeyError for another."""
    return {learner.name: learner for learner in TABLE.values()}[name]


async def begin_scores(session: Session, correlations: Correlations, half: Half, rows: int, telling: Telling) -> RowScores:
    """What scores one table after another by the model of this half, in all at most so many rows.

    Raises PlanError as `check_on_request`.
    """
    check_on_request(half)
    return await ON_REQUEST[half.learner](session, correlations, half, rows, telling)


def check_on_request(half: Half) -> None:
    """Raises PlanError for a learner whose rows are scored all at once."""
    if half.learner not in ON_REQUEST:
        raise PlanError(
            f"rows are not scored on request by models of kind {half.learner}",
            remedy="Score matched rows, with on_request = 0.",
        )


def scores_dealt(name: str, section: Section, size: Size, bits: int, texts: int) -> Ahead:
    """What scores by models of this learner are dealt, and for rows that are asked for what reasons of so many texts take."""
    scores = named(name).ahead_scores(section, size, bits)
    return replace(scores, then=REASONS[name].ahead(section, size, texts)) if texts else scores


def tells_on_request(half: Half) -> bool:
    """Whether reasons of the grid are told of rows that are asked for, by this model."""
    if half.coefficients is not None:
        return True
    return takes_stock(half) and half.learner in REASONS


def pack(half: Half) -> Packed:
    """The bytes of a model's two files."""
    return named(half.learner).pack(half)


def line_of(half: Half, bank: str) -> Half:
    """The half that scores together with this bank, of a model of several; any other model as it is.

    Raises PlanError for a model of several banks without this one.
    """
    return half.line(bank) if isinstance(half, ClosedModel | NetworkModel | TreesHalf) and half.banks else half


def scored_undealt(half: Half) -> bool | None:
    """Whether it takes nobody who deals to score by it: of a model that nobody holds, as it was trained; None: as one likes."""
    return isinstance(half, CommittedModel) if half.closed else None


def takes_stock(half: Half) -> bool:
    """Whether to score by it takes randomness, which can be dealt ahead."""
    return half.closed and not scored_undealt(half)


def parse(head: Any, arrays: bytes) -> Half:
    """What `pack` wrote; raises an error of some kind for anything else. Files of before there were several are linear."""
    return named(head.get("learner", "linear")).parse(head, arrays)
