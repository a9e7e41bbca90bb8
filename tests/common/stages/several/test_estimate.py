"""What a training of several banks is said to cost, where its course depends on the columns of all banks together."""

from __future__ import annotations

from common.stages.several.estimate import SeveralSizes, estimate_several
from tests.banks import several_plan


def test_rounds_are_those_of_the_steps_that_all_banks_intercepts_decide() -> None:
    """70,000 rows train: 146 columns with both intercepts are too many for parts of a third of them, 145 are not."""
    plan, rows = several_plan(2), (60_000, 40_000)
    parts, at_the_edge, whole = (estimate_several(plan, SeveralSizes(rows, grid, 18)).rounds for grid in (126, 127, 157))
    assert at_the_edge == whole != parts
