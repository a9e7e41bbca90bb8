"""What may be asked of a dealer: one row a kind of demand, with its field in the message and how it is dealt.

A learner adds a row; nothing else of the transport or the dealer knows its demands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from common.errors import PeerProtocolError
from common.learn.layout import LineDemand, LineEpochDemand
from common.learn.linear.deal import MOST_COLUMNS, MOST_ROWS, TrainingDemand
from common.learn.linear.deal_reasons import ReasonsDemand, deal_reasons
from common.learn.linear.deal_scores import ScoreDemand, deal_scores
from common.learn.linear.deal_several import deal_several
from common.learn.linear.steps import deal_training
from common.learn.network import deal as network
from common.learn.network import deal_reasons as network_reasons
from common.learn.network.deal import NetworkDemand, NetworkScoreDemand
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.deal_several import deal_epoch_of_all, deal_network
from common.learn.network.deal_stopping import EpochDemand, deal_epoch
from common.learn.trees import deal_reasons as tree_reasons
from common.learn.trees.deal import TreeScoreDemand, TreesDemand, deal_tree_scores
from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.learn.trees.deal_several import deal_trees_of_all
from common.learn.trees.make import deal_trees
from common.mpc.correlations.asked import Demand, PeriodDemand
from common.mpc.counting.dealer import deal_counts
from common.mpc.counting.masks import CountsDemand
from common.mpc.dealer import Deal, Dealt, Prgs, deal_periods
from common.mpc.several.dealer import Masks, Tagged, Together, deal_sums
from common.mpc.several.hub import SumDemand
from common.plan.network import Network
from common.plan.request import Request
from common.plan.several import SeveralPlan
from common.plan.trees import Trees


@dataclass(frozen=True)
class Dealing:
    """message: the field of `Demand` in party.proto, whose fields are those of `demand`; deal: see `dealings`.

    spread: whether several threads may deal it, as its keyword `workers` says.
    """

    message: str
    demand: type[Demand]
    deal: Callable[..., Iterator[Dealt]]
    spread: bool = False


TABLE = (
    Dealing("periods", PeriodDemand, lambda prg, demand, plan, memory: deal_periods(prg, demand)),
    Dealing("counts", CountsDemand, lambda prg, demand, plan, memory: deal_counts(prg, demand)),
    Dealing("training", TrainingDemand, deal_training, spread=True),
    Dealing("scores", ScoreDemand, lambda prg, demand, plan, memory, workers: deal_scores(prg, demand, workers), spread=True),
    Dealing("reasons", ReasonsDemand, lambda prg, demand, plan, memory: deal_reasons(prg, demand)),
    Dealing("trees", TreesDemand, deal_trees),
    Dealing("tree_scores", TreeScoreDemand, lambda prg, demand, plan, memory: deal_tree_scores(prg, demand)),
    Dealing("tree_reasons", TreeReasonsDemand, lambda prg, demand, plan, memory: tree_reasons.deal_reasons(prg, demand)),
    Dealing("network_training", NetworkDemand, network.deal_training),
    Dealing("network_epoch", EpochDemand, deal_epoch),
    Dealing("network_scores", NetworkScoreDemand, lambda prg, demand, plan, memory: network.deal_scores(prg, demand)),
    Dealing(
        "network_reasons", NetworkReasonsDemand, lambda prg, demand, plan, memory: network_reasons.deal_reasons(prg, demand)
    ),
)


def dealings(plan: Request, memory: int, most_rows: int = MOST_ROWS, workers: int = 1) -> dict[type[Demand], Deal]:
    """How each kind of demand is dealt in a job of this plan; memory: bytes of masks that dealing may keep.

    most_rows: of a demand. A larger one raises PeerProtocolError before anything is made for it. workers: threads that deal
    what several can.
    """
    return {row.demand: partial(_deal, row, plan, memory, most_rows, workers) for row in TABLE}


def _deal_lines(masks: Masks, asked: Sequence[LineDemand], plan: Request, memory: int, workers: int = 1) -> Iterator[Tagged]:
    """Of a training of several banks, whichever model it is of."""
    if isinstance(plan, SeveralPlan) and isinstance(plan.model, Network):
        return deal_network(masks, asked, plan.model, memory)
    if isinstance(plan, SeveralPlan) and isinstance(plan.model, Trees):
        return deal_trees_of_all(masks, asked, plan.model)
    return deal_several(masks, asked, plan, memory, workers)


TOGETHER: Mapping[str, tuple[type[Demand], Callable[..., Iterator[Tagged]]]] = {
    "sums": (SumDemand, lambda masks, asked, plan, memory, workers: deal_sums(masks, asked)),
    "several": (LineDemand, _deal_lines),
    "several_epoch": (
        LineEpochDemand,
        lambda masks, asked, plan, memory, workers: deal_epoch_of_all(masks, asked, plan, memory),
    ),
}
"""What the lines of a job of several banks ask for together: the field in the message, the demand, how it is dealt."""
MESSAGES: Mapping[str, type[Demand]] = {row.message: row.demand for row in TABLE} | {m: one for m, (one, _) in TOGETHER.items()}


def together(plan: Request, memory: int, most_rows: int = MOST_ROWS, workers: int = 1) -> dict[type[Demand], Together]:
    """How each kind of demand is dealt that all lines of a job of several banks put together; the rest as `dealings` says."""

    def deal(way: Callable[..., Iterator[Tagged]], masks: Masks, asked: Sequence[Demand]) -> Iterator[Tagged]:
        for demand in asked:
            _check(demand, most_rows)
        return way(masks, asked, plan, memory, workers)

    return {demand: partial(deal, way) for demand, way in TOGETHER.values()}


def _deal(row: Dealing, plan: Request, memory: int, most_rows: int, workers: int, prg: Prgs, demand: Demand) -> Iterator[Dealt]:
    _check(demand, most_rows)
    return row.deal(prg, demand, plan, memory, **({"workers": workers} if row.spread else {}))


def _check(demand: Demand, most_rows: int) -> None:
    most = {"rows": most_rows, "words": most_rows, "grid_columns": MOST_COLUMNS, "bank_columns": MOST_COLUMNS}
    for name in demand.__dataclass_fields__.keys() & most.keys():
        if not 0 < getattr(demand, name) <= most[name]:
            raise PeerProtocolError(
                "the parties ask the dealer for more than it deals",
                expected=f"{name} from 1 to {most[name]}",
                got=getattr(demand, name),
                remedy="The coordinator's operator sets max_rows.",
            )
