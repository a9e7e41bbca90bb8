"""What jobs leave in a process that runs them for months: no object of ours, no task and no open book more than before."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from common.disclosure import Opened
from common.mpc.session import Array, Round
from common.party import Party
from tests.common.stages.companies import Companies, frames
from tests.patience import patience
from tests.peers import Trio

OURS = ("common.", "bank_party.", "grid_party.")
LASTING = (asyncio.Future, asyncio.Task, sqlite3.Connection, sqlite3.Cursor)
JOBS = 3
ID = {Party.GRID: "id", Party.BANK: "firm"}


def living() -> Counter[str]:
    """Objects of our classes, tasks and books, by the names of their classes."""
    gc.collect()
    found = (type(one) for one in gc.get_objects())
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in found
        if issubclass(kind, LASTING) or str(kind.__module__).startswith(OURS)
    )


class Months:
    """Months of jobs, each about other companies, which two models score."""

    def __init__(self, folder: Path) -> None:
        own = {Party.GRID: {"scores_per_row": 1000}, Party.BANK: {"label_bits": 1e6}}
        self.companies, self._rows, self._month = Companies(folder, own=own), frames(seed=1, monthly=False), 0

    async def pass_by(self, count: int) -> None:
        for _ in range(count):
            self._month += 1
            self.companies.write({party: self._renamed(party) for party in Party})
            job = f"job-{self._month}"
            await self.companies.run(job, self.companies.plan())
            await self.companies.run(f"score-{self._month}", self.companies.plan(kind="score", model=job))

    def _renamed(self, party: Party) -> pd.DataFrame:
        rows = self._rows[party]
        return rows.assign(**{ID[party]: rows[ID[party]] + f"M{self._month}"})


@pytest.mark.parametrize("fails", [False, True])
async def test_after_more_jobs_there_are_no_more_objects(tmp_path: Path, fails: bool) -> None:
    """Neither of jobs that succeed, nor of those that fail in the middle."""
    months = Months(tmp_path)
    await months.pass_by(2)

    async def more(count: int) -> None:
        await (failing(months.companies, count) if fails else months.pass_by(count))

    await more(1)
    before = living()
    await more(JOBS)
    end = time.monotonic() + patience(10)
    while left := {name: count for name, count in (living() - before).items() if count >= JOBS}:  # one a job, at least
        assert time.monotonic() < end, left
        await asyncio.sleep(0.05)  # a thread that a job had begun may still work on what nobody waits for


class Gone(Exception):
    """The bank's process, in the middle of a training."""


async def failing(companies: Companies, count: int) -> None:
    made = companies.new_trio

    def fading(allowed: frozenset[Opened]) -> Trio:
        found, left = made(allowed), 40
        sends = found.peer[Party.BANK].send

        async def send(round: Round, values: Array) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Gone
            await sends(round, values)

        found.peer[Party.BANK].send = send  # type: ignore[method-assign]
        return found

    companies.new_trio = fading
    for number in range(count):
        with pytest.raises(Gone):
            await companies.run(f"lost-{count}-{number}", companies.plan())
    companies.new_trio = made
