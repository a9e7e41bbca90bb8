"""What of a scoring job's drift leaves a party: nothing of months of few rows, and no index that chance explains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.home.outcome import Drift
from common.monitor import reference
from common.monitor.book import Book, Reading
from common.monitor.config import MonitorConfig
from common.monitor.reference import describe
from common.party import Party
from common.stages.watch import told, watch
from tests.common.monitor.worlds import party, since, split
from tests.common.stages.companies import Companies, frames

ONE = Reading("job-1", "2024-01", "kwh", 0.05, 0.04, 0.0, 0.0, 1000, 5000)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([], None),
        ([replace(ONE, rows=999, psi=9.0)], None),
        ([ONE, replace(ONE, month="2024-02", rows=1, psi=9.0, floor=8.0, missing=1.0)], Drift(0.05, 0)),
        ([ONE, replace(ONE, feature="tax", psi=0.15, floor=0.2)], Drift(0.05, 0)),
        ([replace(ONE, psi=0.03)], Drift(0.0, 0)),
        ([ONE, replace(ONE, feature="tax", psi=0.4), replace(ONE, feature="gas", missing=0.5)], Drift(0.4, 2)),
    ],
)
def test_only_large_months_and_more_than_chance_are_told(readings: list[Reading], expected: Drift | None) -> None:
    assert told(readings, MonitorConfig(), 1000) == expected


def test_one_row_is_kept_at_its_owner_and_told_to_nobody(tmp_path: Path) -> None:
    before, after = split(since(table := party(300, 13, 3), 12, amount=table.numeric["amount"] * 50), 12)
    reference.save(describe(before, before.rows), tmp_path)
    book, config = Book(tmp_path / "m.sqlite"), MonitorConfig()
    found = [watch(f"score-{n}", "job-1", tmp_path, book, config, after.take(np.arange(n)), None) for n in (300, 1)]
    heard = [told(readings, config, 300) for readings in found if readings is not None]
    assert heard[0] is not None and heard[0].largest_psi > 1.0 and heard[0].alarms >= 1
    assert heard[1:] == [None] and {reading.rows for reading in book.readings()} == {300}
    assert watch("score-9", "job-2", tmp_path / "none", book, config, after, None) is None


async def test_a_scoring_job_of_few_rows_opens_no_drift(tmp_path: Path) -> None:
    made = Companies(tmp_path)
    data = frames(seed=1, monthly=False)
    made.write(data)
    await made.run("job-1", made.plan(model={"iterations": 2}))
    plan = made.plan(kind="score", model="job-1")
    many = await made.run("score-1", plan)
    made.write({party: rows.loc[rows.index < 30] for party, rows in data.items()})
    few = await made.run("score-2", plan)
    for side in Party:
        assert many[side].drift is not None and "drift" in many[side].opened
        assert few[side].drift is None and "drift" not in few[side].opened
