"""What a party looks at before it accepts: its policy, the dataset, its columns, that the file is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.errors import DataError, PlanError, PolicyError
from common.party import Party
from common.plan.policy import Policy
from common.plan.predeal import PredealPlan
from common.plan.read import make_plan
from common.plan.request import Plan
from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig
from common.rows.declare import ColumnConfig
from common.stages.offer import check_direct, check_offer, check_width, select


def dataset(path: Path, **more: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": path, "id": "id", **more})


def plan(**more: Any) -> Plan:
    return make_plan({"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}, **more}, "plan")


@pytest.fixture
def declared(tmp_path: Path) -> DatasetConfig:
    (tmp_path / "rows.csv").write_text("id,a\nx,1\n")
    return dataset(tmp_path / "rows.csv", columns={"a": {"kind": "numeric", "min": 0}, "b": {"kind": "categorical"}})


def test_an_offer_that_fits_gives_the_dataset(declared: DatasetConfig) -> None:
    assert check_offer(plan(), Party.GRID, {"meters": declared}, Policy()) is declared
    assert check_offer(plan(), Party.BANK, {"loans": declared}, Policy()) is declared


def test_an_offer_against_the_policy_is_refused_first(declared: DatasetConfig) -> None:
    with pytest.raises(PolicyError, match="min_rows"):
        check_offer(plan(limits={"min_rows": 1}), Party.GRID, {}, Policy())


def test_an_offer_of_an_unknown_dataset_column_or_period_is_refused(declared: DatasetConfig) -> None:
    with pytest.raises(PlanError, match=r"the grid has no dataset 'meters'\. .* It has: bills, water\."):
        check_offer(plan(), Party.GRID, {"water": declared, "bills": declared}, Policy())
    with pytest.raises(PlanError, match=r"It has: none\."):
        check_offer(plan(), Party.GRID, {}, Policy())
    asks = plan(grid={"dataset": "meters", "columns": ["a", "c", "d"]})
    with pytest.raises(PlanError, match=r"dataset 'meters' declares no column 'c', 'd'\. .* It declares: a, b\."):
        check_offer(asks, Party.GRID, {"meters": declared}, Policy())
    with pytest.raises(PlanError, match="dataset 'meters' of the grid has no period"):
        check_offer(plan(keys=["id", "period"]), Party.GRID, {"meters": declared}, Policy())


def test_a_missing_file_is_named_to_its_owner_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent") as caught:
        check_offer(plan(), Party.GRID, {"meters": dataset(tmp_path / "absent.csv")}, Policy())
    assert caught.value.public == "the file of dataset 'meters' is missing"


def test_a_plan_selects_declared_columns_as_they_are_declared(declared: DatasetConfig) -> None:
    assert select(declared, ("*",), "rows") is declared
    chosen = select(declared, ("b", "a"), "rows")
    assert list(chosen.columns) == ["b", "a"]
    assert chosen.columns["a"] == declared.columns["a"]
    bare = dataset(Path("rows.csv"))
    assert select(bare, ("a",), "rows") is bare  # what its columns are is known once the file is read


def test_far_too_many_columns_are_refused_by_the_header(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names, cells = ",".join(f"c{k}" for k in range(500)), ",".join(["1"] * 500)
    path.write_text(f"id,{names}\n" + "".join(f"a{k},{cells}\n" for k in range(160)))
    asked = TrainPlan.model_validate({"grid": {"dataset": "wide"}, "bank": {"dataset": "b"}})
    config = DatasetConfig(path=path, id="id")
    with pytest.raises(PolicyError, match=r"500 columns need 500 times 20 training rows, and about 11\d of its rows train"):
        check_width(asked, config, Party.GRID, "wide")
    check_width(asked, config.model_copy(update={"columns": {"c1": ColumnConfig(kind="numeric")}}), Party.GRID, "wide")


def test_only_scores_with_nobody_who_deals_now_and_stocks_that_both_make_do_without_the_coordinator() -> None:
    scoring = {"kind": "score", "model": "champion", "dealt": "ahead", "matching": "ecdh"}
    stock = {"rows": 100, "grid_columns": 2, "bank_columns": 2}
    made, dealt = (PredealPlan.model_validate({**stock, "model": {"dealer": dealer}}) for dealer in ("none", "whole"))
    for alone in (plan(**scoring), plan(**{**scoring, "dealt": "online", "dealer": "none"}), made):
        check_direct(alone, Policy())
    for other in (dealt, plan(), plan(**{**scoring, "dealt": "online"}), plan(**{**scoring, "matching": "neutral"})):
        with pytest.raises(PlanError, match="Submit it through the coordinator"):
            check_direct(other, Policy())
    with pytest.raises(PolicyError, match="direct = false"):
        check_direct(plan(**scoring), Policy(direct=False))
