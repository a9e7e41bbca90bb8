"""The course of a training: its steps; refused where it is so short that its weights are sums over few rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.errors import PolicyError
from common.learn.learner import Size
from common.learn.linear.learner import Linear
from common.learn.linear.steps import STEP, check_course, make_steps
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.session import MAX_ARRAY_BYTES
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


def test_from_16384_rows_on_half_of_the_steps_are_over_half_of_the_rows_where_columns_are_many() -> None:
    for rows in (16_384, 20_001, 65_535):
        for halved, model in ((6, Model()), (3, Model(full_steps=9)), (0, Model(full_steps=12)), (2, Model(iterations=5))):
            columns = 140
            steps = make_steps(model, rows, columns)
            assert [step.high for step in steps] == [rows // 2] * halved + [rows] * (model.iterations - halved)
            whole = make_steps(model.model_copy(update={"full_steps": 0}), rows, columns)
            assert [step.high for step in whole] == [rows] * model.iterations
            assert [(step.number, step.size, step.momentum) for step in steps] == [
                (s.number, s.size, s.momentum) for s in whole
            ]
    assert all(step.rows == 16_383 for step in make_steps(Model(), 16_383, 9))
    assert [step.rows for step in make_steps(Model(), 70_000, 220)] == [35_000] * 6 + [70_000] * 6
    ahead = make_steps(Model(), 20_000, 100, 18_000)
    for step, rows in zip(ahead, [10_000] * 6 + [18_000] * 6, strict=True):
        assert step.scales(Model().make_link()).step_over_n * rows == pytest.approx(STEP, rel=2**-12)


@pytest.mark.parametrize(
    ("model", "cell"),
    [
        (Model(dealer="half", reveal="owners"), 12),
        (Model(dealer="none", reveal="owners", iterations=20), 12),
        (Model(), 6),
    ],
    ids=["half", "none", "whole"],
)
def test_columns_of_which_a_block_is_no_message_are_refused_before_anything_is_charged(model: Model, cell: int) -> None:
    """Rows that are sent whole are half as long again: of 1,366 columns the other party would take none."""
    most, rows = MAX_ARRAY_BYTES // (cell * MATRIX_BLOCK), 500_000
    Linear().check(model, Size(rows, most, 3), Policy())
    Linear().check(model, Size(rows // 10, most + 1, 3), Policy())  # no whole block
    for columns in ((most + 1, 3), (3, most + 1)):
        with pytest.raises(PolicyError, match=f"65536 rows of {most + 1} columns .* at most {most} columns of either side"):
            Linear().check(model, Size(rows, *columns), Policy())


def test_where_nobody_deals_and_the_link_is_taylor_s_who_has_fewer_columns_masks_them_alone() -> None:
    model = Model(dealer="none", link="taylor", reveal="owners", iterations=20)
    Linear().check(model, Size(500_000, 5000, 1363), Policy())
    with pytest.raises(PolicyError, match="more than one message may hold"):
        Linear().check(model, Size(500_000, 5000, 1364), Policy())


def test_rows_of_several_banks_go_through_every_step_by_taylor_too() -> None:
    """Of one bank they are needed once; of several each step is over them, and a block of their columns has to fit."""
    model, several, alone = Model(link="taylor"), Size(100_000, 11, 12, 3), Size(100_000, 11, 12)
    assert Linear().work(model, several) == Linear().work(Model(), several) == Linear().work(Model(), alone)
    assert Linear().work(model, alone) < 0.4 * Linear().work(model, several)
    wide, floors = Size(100_000, 5000, 12, 3), Policy()
    Linear().check(model, replace(wide, banks=1), floors)
    with pytest.raises(PolicyError, match="columns are more than one message may hold"):
        Linear().check(model, wide, floors)
