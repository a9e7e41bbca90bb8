"""What is dealt ahead after a training of several banks: for scores by its model, and no training."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from common.client.like import as_before, scores_like, training_of
from common.errors import PlanError
from common.home.stocks import predealt
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.read import parse_plan
from common.plan.train import TrainPlan
from common.wire import coordinator_pb2 as wire
from common.wire.party_pb2 import Counts, Report
from tests.banks import several_plan


def job() -> wire.Job:
    grid, bank = (Report(counts=Counts(train_rows=1000, trained_columns=columns)) for columns in (12, 4))
    plan = several_plan(3).canonical()
    return wire.Job(id="train-1", kind="train", plan=plan, grid={"report": grid}, bank={"report": bank})


def test_scores_by_a_model_of_several_banks_are_dealt_as_by_any() -> None:
    plan = scores_like(job(), 500, "next")
    assert (plan.serves, plan.rows, plan.grid_columns, plan.bank_columns) == ("scores", 500, 12, 4)


def test_scores_by_trees_are_dealt_by_their_number_and_depth() -> None:
    trained = job()
    section = {"kind": "trees", "trees": 37, "depth": 2}
    plan = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "model": section})
    trained.plan = plan.canonical()
    dealt = scores_like(trained, 500, "next", reasons=8)  # which are not told of such rows
    demand = predealt(dealt).demand
    assert (demand.rows, demand.trees, demand.depth, demand.fits) == (500, 37, 2, True)
    assert predealt(parse_plan(dealt.canonical())).demand == demand and "_columns" not in dealt.canonical()
    assert (dealt.model.trees, dealt.model.depth) == (37, 2) == dealt.sizes


def test_plans_that_say_trees_as_columns_are_refused_with_the_keys_that_are_meant() -> None:
    old = {"kind": "predeal", "serves": "scores", "model": {"kind": "trees"}, "rows": 9, "grid_columns": 60, "bank_columns": 4}
    with pytest.raises(
        ValidationError, match="in place of grid_columns = 60, bank_columns = 4 write trees = 60, depth = 4 there"
    ):
        PredealPlan.model_validate(old)
    with pytest.raises(ValidationError, match="in place of bank_columns = 4 write depth = 4 there"):
        PredealPlan.model_validate({key: value for key, value in old.items() if key != "grid_columns"})
    for more in ({"serves": "training"}, {"model": {"kind": "network"}}, {"model": {}}):
        lacking = {key: value for key, value in {**old, **more}.items() if key != "bank_columns"}
        with pytest.raises(ValidationError, match="bank_columns: required"):
            PredealPlan.model_validate(lacking)
        assert PredealPlan.model_validate({**old, **more}).sizes == (60, 4)


def test_they_are_dealt_to_the_bank_that_is_named_or_that_trained_alone() -> None:
    second = "wattscore://bank-1/bank-party"
    assert (
        scores_like(job(), 500, "", Identity.parse(second)).with_bank == second
        and scores_like(job(), 500, "").with_bank is None
    )
    assert "with_bank" not in scores_like(job(), 500, "").canonical()
    one = job()
    one.plan = several_plan(3).line(1).model_copy(update={"with_bank": second}).canonical()
    assert scores_like(one, 500, "").with_bank == as_before(one)["with_bank"] == second


def test_models_that_nobody_deals_for_take_no_stock() -> None:
    trained = job()
    sides = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "matching": "ecdh"}
    trained.plan = TrainPlan.model_validate({**sides, "model": {"dealer": "none"}}).canonical()
    with pytest.raises(PlanError, match=r"take no stock.*dealer = 'none', dealt online"):
        scores_like(trained, 500, "next")


def test_a_training_of_several_banks_is_not_dealt_ahead_nor_repeated_by_month() -> None:
    for asked in (lambda: as_before(job()), lambda: training_of(several_plan(2), "plan.toml")):
        with pytest.raises(PlanError, match=r"with several banks nothing is dealt ahead.*--scores --like JOB"):
            asked()
