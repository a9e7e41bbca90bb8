"""Plans that score: months are of monthly rows, and a plan without any is the same bytes as before there could be some."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import PlanError
from common.plan.read import make_plan

SCORE: dict[str, Any] = {"kind": "score", "model": "champion", "grid": {"dataset": "m"}, "bank": {"dataset": "l"}}
MONTHLY = {**SCORE, "keys": ["id", "period"]}


def test_months_are_part_of_the_plan_only_where_there_are_some() -> None:
    assert "months" not in make_plan(MONTHLY, "plan").canonical()
    assert '"months":["2025-06","newest"]' in make_plan({**MONTHLY, "months": ["2025-06", "newest"]}, "plan").canonical()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({**MONTHLY, "months": ["2025-13"]}, "months: '2025-13' is not a month as YYYY-MM, nor newest"),
        ({**SCORE, "months": ["2025-06"]}, "months are of monthly rows"),
        ({**MONTHLY, "months": ["2025-06"], "on_request": 10}, "leave out months"),
    ],
)
def test_months_that_cannot_be_are_refused(raw: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        make_plan(raw, "plan")
