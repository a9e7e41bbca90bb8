"""What is asked of a dealer has a size, and one beyond its limits is refused before anything is made for it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from common.errors import PeerProtocolError, PlanError
from common.home.stock import DEALING
from common.learn.dealings import TABLE, dealings
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.deal_reasons import ReasonsDemand
from common.learn.linear.deal_scores import ScoreDemand
from common.learn.linear.schedule import LEVEL_ROWS
from common.learn.network.deal import NetworkDemand, NetworkScoreDemand
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.deal_stopping import EpochDemand
from common.learn.trees.deal import TreeScoreDemand, TreesDemand
from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.mpc.correlations.asked import PeriodDemand
from common.mpc.counting.masks import CountsDemand
from common.mpc.prg import Prg
from common.party import Party
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.train import TrainPlan

PLAN = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}})
TREES = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "model": {"kind": "trees"}})
PRGS = {party: Prg(bytes([i]) * 32, bytes([7 + i]) * 32) for i, party in enumerate(Party)}
MOST = 1000
HONEST = {
    PeriodDemand: {"words": MOST},
    CountsDemand: {"rows": MOST, "bins": 3, "least": 5, "rounds": 2},
    TrainingDemand: {"rows": MOST, "grid_columns": 3, "bank_columns": 2},
    ScoreDemand: {"number": 0, "rows": MOST, "grid_columns": 3, "bank_columns": 2, "bits": 5},
    ReasonsDemand: {"rows": MOST, "grid_columns": 3, "groups": 2},
    TreesDemand: {"rows": MOST, "grid_columns": 3, "bank_columns": 2},
    TreeScoreDemand: {"number": 0, "rows": MOST, "trees": 3, "depth": 2},
    TreeReasonsDemand: {"rows": MOST, "trees": 3, "depth": 2, "groups": 2},
    NetworkReasonsDemand: {"rows": MOST, "grid_columns": 3, "bank_columns": 2, "units": 4, "groups": 2},
    NetworkDemand: {"rows": MOST, "grid_columns": 3, "bank_columns": 2},
    EpochDemand: {"number": 0, "rows": MOST, "grid_columns": 3, "bank_columns": 2},
    NetworkScoreDemand: {"number": 0, "rows": MOST, "grid_columns": 3, "bank_columns": 2, "units": 4, "bits": 5},
}
PLANS = {
    TreesDemand: TREES,
    NetworkDemand: PLAN.model_copy(update={"model": Network()}),
    EpochDemand: PLAN.model_copy(update={"model": Network(early_stop=2)}),
}
LARGE = [(kind, name) for kind, fields in HONEST.items() for name in fields if name not in ("number", "bits")]


@pytest.mark.parametrize("kind", [TrainingDemand, NetworkDemand])
def test_a_learner_that_the_plan_does_not_train_is_dealt_nothing(kind: Any) -> None:
    plan = PLAN.model_copy(update={"model": Network()}) if kind is TrainingDemand else PLAN
    with pytest.raises(PlanError, match="this job trains no"):
        next(dealings(plan, 1 << 20, MOST)[kind](PRGS, kind(**HONEST[kind])))


def test_every_kind_is_looked_at() -> None:
    assert set(HONEST) == {row.demand for row in TABLE}


@pytest.mark.parametrize("kind", HONEST)
def test_one_within_the_limits_is_dealt(kind: Any) -> None:
    assert next(dealings(PLANS.get(kind, PLAN), 1 << 20, MOST)[kind](PRGS, kind(**HONEST[kind])))


@pytest.mark.parametrize("value", [0, -1, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize(("kind", "name"), LARGE)
def test_one_beyond_them_is_refused(kind: Any, name: str, value: int) -> None:
    with pytest.raises(PeerProtocolError):
        next(dealings(PLANS.get(kind, PLAN), 1 << 20, MOST)[kind](PRGS, kind(**{**HONEST[kind], name: value})))


@pytest.mark.parametrize("kind", HONEST)
def test_the_operator_s_limit_of_rows_counts(kind: Any) -> None:
    with pytest.raises(PeerProtocolError, match=r"(rows|words) from 1 to 999, got 1000"):
        dealings(PLAN, 1 << 20, MOST - 1)[kind](PRGS, kind(**HONEST[kind]))


@pytest.mark.parametrize(("plan", "kind"), [(PLAN, TreesDemand), (TREES, TrainingDemand)])
def test_another_learner_s_randomness_is_not_dealt(plan: TrainPlan, kind: Any) -> None:
    with pytest.raises(PlanError, match="this job"):
        next(dealings(plan, 1 << 20, MOST)[kind](PRGS, kind(**HONEST[kind])))


def test_what_stocks_hold_is_dealt_under_its_number() -> None:
    """Raise DEALING with another hash: a stock is known by that number and by its model, and its words are no others."""
    ahead = {**PLANS, NetworkDemand: PLAN.model_copy(update={"model": Network(batch=0, epochs=10)})}
    taylor, known = PLAN.model_copy(update={"model": Model(link="taylor")}), hashlib.sha256()
    kinds = (TrainingDemand, ScoreDemand, NetworkDemand, NetworkScoreDemand)
    few = [*((kind, ahead.get(kind, PLAN), 40) for kind in kinds), (TrainingDemand, taylor, 40)]
    for kind, plan, rows in [*few, (TrainingDemand, PLAN, LEVEL_ROWS)]:
        for dealt in dealings(plan, 1 << 20, LEVEL_ROWS)[kind](PRGS, kind(**{**HONEST[kind], "rows": rows})):
            for party, label, words in dealt:
                known.update(f"{party.value} {label} {words.dtype} {words.shape}".encode() + words.tobytes())
    assert (DEALING, known.hexdigest()[:16]) == (19, "02f40d50107eb94d")
