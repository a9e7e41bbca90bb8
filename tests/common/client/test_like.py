"""What is dealt ahead after a training of several banks: for scores by its model, and no training."""

from __future__ import annotations

import pytest

from common.client.like import as_before, scores_like, training_of
from common.errors import PlanError
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


def test_a_training_of_several_banks_is_not_dealt_ahead_nor_repeated_by_month() -> None:
    for asked in (lambda: as_before(job()), lambda: training_of(several_plan(2), "plan.toml")):
        with pytest.raises(PlanError, match=r"with several banks nothing is dealt ahead.*--scores --like JOB"):
            asked()
