"""Which rows the steps of a descent run over, and with what momentum."""

from __future__ import annotations

import pytest

from common.errors import PlanError
from common.learn.linear.schedule import count_steps
from common.learn.linear.steps import STEP, make_steps
from common.plan.linear import Model


def test_many_rows_are_begun_on_a_part_of_them_and_corrected_by_all() -> None:
    courses = {65_536: 16_384, 131_071: 16_384, 131_072: 32_768, 524_303: 32_768, 10**6: 62_500}
    for rows, few in courses.items():
        steps = make_steps(Model(), rows, 40)
        parts = {65_536: 3, 131_071: 6, 131_072: 3, 524_303: 8, 10**6: 8}[rows]
        lows = [few * (t % parts) for t in range(14)]
        assert [step.low for step in steps] == [*lows[:6], 0, *range(0, few * parts, few), *lows[6:], 0]
        assert [step.rows for step in steps] == [few] * 6 + [rows] + [few] * (parts + 8) + [rows]
        assert [step.number for step in steps] == list(range(16 + parts))
        assert {step.size for step in steps} == {STEP}
        assert [step.number for step in steps if step.measures] == list(range(6, 7 + parts))
        assert [step.number for step in steps if step.corrected] == list(range(7 + parts, 15 + parts))
        assert [step.momentum for step in steps[-9:-1]] == [128, 146, 160, 171, 179, 186, 192, 197]
    assert [step.high for step in make_steps(Model(full_steps=0), 1_000_000, 40)] == [1_000_000] * 12
    ahead = make_steps(Model(), 250_000, 40, 200_000)
    link = Model().make_link()
    for step, rows in zip(ahead, [32_768] * 6 + [200_000] + [32_768] * 14 + [200_000], strict=True):
        assert step.scales(link).step_over_n * rows == pytest.approx(STEP, rel=2**-12)


@pytest.mark.parametrize(("iterations", "full"), [(12, 1), (12, 2), (13, 4), (1, 1), (2, 3), (1000, 5)])
def test_each_pass_over_all_rows_but_the_last_corrects_the_steps_that_follow(iterations: int, full: int) -> None:
    steps = make_steps(Model(iterations=iterations, full_steps=full), 200_000, 40)
    half = iterations // 2
    parts = 4
    kinds = "".join("m" if step.measures else "c" if step.corrected else "s" for step in steps)
    first = half if full > 1 else iterations
    assert kinds == "s" * first + ("m" * (1 + parts) + "c" * (iterations - half + 2)) * (full - 1) + "s"
    assert len(steps) == count_steps(200_000, 32_768, iterations, full)
    over_all = [at for at, step in enumerate(steps) if step.rows == 200_000]
    assert over_all == [*(at for at in range(len(kinds) - 1) if kinds[at] == "m" != kinds[at - 1 :][:1]), len(steps) - 1]


def test_columns_decide_how_few_the_rows_of_early_steps_are() -> None:
    for columns, few in ((204, 32_768), (205, 32_800), (600, 96_000)):
        assert make_steps(Model(), 200_000, columns)[0].rows == few
    assert [step.rows for step in make_steps(Model(), 200_000, 626)] == [100_000] * 6 + [200_000] * 6


def test_steps_over_few_of_many_rows_that_could_leave_the_ring_are_refused() -> None:
    assert make_steps(Model(step=9.6), 3_200_000, 40)
    with pytest.raises(PlanError, match=r"a step of 9.7 over 200000 of 3200000 rows .*at most 48"):
        make_steps(Model(step=9.7), 3_200_000, 40)
    assert make_steps(Model(step=16.0), 65_535, 40)
