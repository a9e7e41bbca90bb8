"""Names near one that is not there."""

from __future__ import annotations

from common.rows.near import near


def test_names_spelled_alike_come_before_longer_ones_and_others_not_at_all() -> None:
    there = ["month", "overdue_next_month", "Overdue", "loan_amount", "overdue"]
    assert near(["overdu"], there) == ["overdue", "Overdue", "overdue_next_month"]
    assert near(["overdue"], ["month", "overdue_next_month"]) == ["overdue_next_month"]
    assert near(["id"], ["paid_late"]) == [] == near(["region"], there)
    assert near(["mont", "loan"], ["month", "loan_amount"]) == ["month", "loan_amount"]
