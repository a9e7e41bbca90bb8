"""The course of a training: refused where it is so short that its weights are sums over few rows."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import PolicyError
from common.learn.linear.steps import check_course
from common.plan.linear import Model
from common.plan.policy import Policy


def sgd(**model: Any) -> Model:
    return Model.model_validate({"optimiser": "sgd", "epochs": 10, **model})


@pytest.mark.parametrize("weights", ["shared", "owned"])
@pytest.mark.parametrize(
    ("batch", "rows", "columns", "fits"),
    [
        (1000, 20_000, 50, True),
        (1000, 20_000, 51, False),
        (1020, 20_000, 51, True),
        (999, 1000, 5, False),
        (999, 999, 90, True),
    ],
)
def test_a_batch_of_few_rows_is_refused_whoever_holds_the_weights(
    weights: str, batch: int, rows: int, columns: int, fits: bool
) -> None:
    asked = sgd(weights=weights, batch=batch, **({"reveal": "owners"} if weights == "owned" else {}))
    if fits:
        return check_course(asked, rows, columns, Policy())
    with pytest.raises(PolicyError, match=f"a batch of {batch} is too small for {columns} columns"):
        check_course(asked, rows, columns, Policy())


@pytest.mark.parametrize(("epochs", "rows", "fits"), [(9, 1999, False), (10, 1999, True), (5, 2000, True), (4, 2000, False)])
def test_a_training_of_few_steps_is_refused_however_they_come_about(epochs: int, rows: int, fits: bool) -> None:
    asked = sgd(epochs=epochs, batch=1000)
    if fits:
        return check_course(asked, rows, 5, Policy())
    with pytest.raises(PolicyError, match="too few steps"):
        check_course(asked, rows, 5, Policy())
