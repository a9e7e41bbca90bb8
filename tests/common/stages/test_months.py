"""Months of a scoring plan: rows of others are neither matched, nor scored, nor compared with the training."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from common.disk.data_folder import Name
from common.errors import DataError
from common.monitor.book import Book
from common.party import Party
from tests.common.stages.companies import BANK_ONLY, COMMON, GRID_ONLY, Companies, frames

OWN = {Party.GRID: GRID_ONLY, Party.BANK: BANK_ONLY}


async def test_rows_of_the_months_asked_for_are_scored_and_no_others(tmp_path: Path) -> None:
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(seed=3, monthly=True))
    await companies.run("job-1", companies.plan(model={"iterations": 2}))
    for job, months, scored in (("score-1", ["2024-02"], {"2024-02"}), ("score-2", ["newest"], {"2024-03"})):
        outcomes = await companies.run(job, companies.plan(kind="score", model="job-1", months=months))
        written = pd.read_csv(companies.home(Party.BANK) / "scores" / f"{job}.csv")
        assert set(written["period"]) == scored
        for party in Party:
            assert (outcomes[party].counts["own_rows"], outcomes[party].counts["matched_rows"]) == (COMMON + OWN[party], COMMON)
    for party in Party:
        assert {r.month for r in Book(companies.home(party) / Name.HISTORY).readings()} == {"2024-02", "2024-03"}
    with pytest.raises(DataError, match=r"no row of the month 2024-04"):
        await companies.run("score-3", companies.plan(kind="score", model="job-1", months=["2024-01", "2024-04"]))
