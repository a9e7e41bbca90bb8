"""Which rows the steps of a descent run over, and with what momentum."""

from __future__ import annotations

import math
from typing import Any

import pytest

from common.errors import PlanError
from common.learn.linear.hessian import MOST_ROWS
from common.learn.linear.schedule import count_steps
from common.learn.linear.steps import STEP, make_steps
from common.plan.linear import Model

MOMENTA = [0, 64, 102, 128, 146, 160, 171, 179, 186, 192, 197]


@pytest.mark.parametrize(
    ("rows", "parts", "turns"),
    [
        (16_384, 4, 3),
        (65_535, 4, 3),
        (65_536, 4, 3),
        (98_304, 6, 4),
        (131_071, 7, 5),
        (131_072, 4, 3),
        (524_303, 16, 8),
        (10**6, 16, 8),
    ],
)
def test_rows_go_in_parts_of_which_some_take_turns_and_all_correct_them(rows: int, parts: int, turns: int) -> None:
    steps, few = make_steps(Model(), rows, 20), rows // parts
    lows = [few * (t % turns) for t in range(9)]
    assert [step.low for step in steps] == [*lows[:3], 0, *lows[3:], 0]
    assert [step.rows for step in steps] == [few] * 3 + [rows] + [few] * 6 + [rows]
    assert [step.number for step in steps] == list(range(11))
    assert {step.size for step in steps} == {STEP}
    assert [step.longer for step in steps] == [step.corrected or bool(step.measures) for step in steps]
    assert [step.number for step in steps if step.measures] == [3]
    assert [step.number for step in steps if step.corrected] == list(range(4, 10))
    measured = steps[3].measures
    assert [low for low, _ in measured] == list(range(0, few * parts, few))
    assert [high - low for low, high in measured] == [few] * (parts - 1) + [few + rows % parts]
    assert [(span.low, span.high, span.part) for span in steps[3].spans()] == [(*part, i) for i, part in enumerate(measured)]
    assert [step.momentum for step in steps] == [*MOMENTA[:3], *[166] * 7, 0]
    link = Model().make_link()
    for step in steps:
        over = rows if step.measures else step.rows
        assert step.scales(link).step_over_n * over == pytest.approx(STEP, rel=2**-12)


def test_of_a_stock_steps_average_over_rows_of_data_with_tables_of_all() -> None:
    dealt, ahead, link = make_steps(Model(), 250_000, 40), make_steps(Model(), 250_000, 40, 200_000), Model().make_link()
    for step, known in zip(ahead, dealt, strict=True):
        over = 200_000 if step.measures or step.rows == 250_000 else 200_000 // 7 if step.corrected else 250_000 // 7
        assert step.scales(link).step_over_n * over == pytest.approx(STEP, rel=2**-12)
        assert (step.scales(link).table, step.scales(link).spare) == (known.scales(link).table, known.scales(link).spare)


def test_corrected_steps_are_longer_where_that_is_stable_and_the_period_leaves_room() -> None:
    def longer(rows: int = 200_000, **more: Any) -> set[bool]:
        return {step.longer for step in make_steps(Model(**more), rows, 40) if step.corrected}

    assert longer() == longer(step=4.25) == longer(MOST_ROWS + 1, link="taylor", period=1024) == {True}
    assert longer(step=4.3) == longer(MOST_ROWS + 1, link="taylor", period=2048) == {False}


def test_the_momentum_of_corrected_steps_grows_where_they_are_many() -> None:
    momenta = [step.momentum for step in make_steps(Model(iterations=40), 200_000, 40)[10:-1]]
    assert len(momenta) == 23 and momenta[:7] == [166] * 7
    assert momenta[7:] == [round(256 * (t - 1) / (t + 2)) for t in range(7, 23)]


def test_few_rows_run_over_all_each_time() -> None:
    steps = make_steps(Model(), 16_383, 40)
    assert [step.high for step in steps] == [16_383] * 12
    assert [step.momentum for step in steps][:11] == MOMENTA
    assert [step.high for step in make_steps(Model(full_steps=0), 1_000_000, 40)] == [1_000_000] * 12


@pytest.mark.parametrize(("iterations", "full"), [(12, 1), (12, 2), (10, 2), (13, 4), (1, 1), (1, 2), (2, 3), (1000, 5)])
def test_each_pass_over_all_rows_but_the_last_corrects_the_steps_that_follow(iterations: int, full: int) -> None:
    steps = make_steps(Model(iterations=iterations, full_steps=full), 200_000, 40)
    first = math.ceil(iterations / 4) if full > 1 else iterations
    then = max(1, math.ceil(0.75 * (iterations - first)))
    kinds = "".join("m" if step.measures else "c" if step.corrected else "s" for step in steps)
    assert kinds == "s" * first + ("m" + "c" * (then - 1)) * (full - 1) + "s"
    assert len(steps) == count_steps(iterations, full)
    assert len(steps) >= iterations or iterations > 11  # of so few a policy asks for ten
    assert [step.rows for step in steps if not (step.measures or step.corrected)] == [33_333] * first + [200_000]


def test_columns_decide_how_few_the_rows_of_early_steps_are() -> None:
    for columns, parts in ((204, 6), (209, 5), (416, 3)):
        assert [len(step.measures) for step in make_steps(Model(), 200_000, columns) if step.measures] == [parts]
    assert [step.rows for step in make_steps(Model(), 200_000, 417)] == [100_000] * 6 + [200_000] * 6


def test_steps_over_few_of_many_rows_that_could_leave_the_ring_are_refused() -> None:
    assert make_steps(Model(step=9.6), 3_200_000, 40)
    with pytest.raises(PlanError, match=r"a step of 9.7 over 200000 of 3200000 rows .*at most 48"):
        make_steps(Model(step=9.7), 3_200_000, 40)
    assert make_steps(Model(step=16.0), 65_535, 40)
    assert make_steps(Model(step=16.0), 16_384, 40)
