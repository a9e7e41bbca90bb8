"""Offers that are refused, in the audit log: whoever offers does not fill it, and how much was left out is entered."""

from __future__ import annotations

import json
from pathlib import Path

from common.daemon.refusals import Refusals
from common.home.audit import AuditLog
from tests.common.daemon.test_runner import Desk, plan


def test_a_day_has_so_many_in_full_and_the_next_begins_with_what_was_left_out(tmp_path: Path) -> None:
    now = [1000.0]
    log = AuditLog(tmp_path / "audit.sqlite")
    refusals = Refusals(log, most=3, clock=lambda: now[0])
    for number in range(50):
        refusals.enter(f"job-{number}", "PolicyError", {"client": "c"} if number else None)
    assert [(e.job, e.what) for e in log.entries()] == [
        ("job-0", "refuse"), ("job-1", "offer"), ("job-1", "refuse"), ("job-2", "offer"), ("job-2", "refuse"),
    ]  # fmt: skip
    now[0] += 90_000.0
    refusals.enter("job-50", "PlanError", None)
    *_, left_out, last = log.entries()
    told = json.loads(left_out.detail)
    assert (left_out.what, told["more"], told["since"], last.job) == ("refuse", 47, 1000.0, "job-50")
    now[0] = 0.0  # a clock that was set back is no way round
    refusals.enter("job-51", "PlanError", None)
    refusals.count()
    assert log.verify().number == 8


async def test_a_party_that_is_offered_nonsense_all_day_keeps_its_log_short_and_stays_open(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.runner._refusals = Refusals(desk.home.audit, most=2)
    for number in range(40):
        assert (await desk.offer(plan("elsewhere"), f"train-{number}")).refuse.fault.kind
    assert desk.home.audit.head.number == 4
    assert (await desk.offer(plan(), "train-a")).accept.job == "train-a"
    assert [e.what for e in desk.home.audit.entries("train-a")] == ["offer", "accept"]
