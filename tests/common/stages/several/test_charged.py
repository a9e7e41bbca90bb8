"""What a grid counts before a training of several banks: the rows of all lines, or where one of them is refused, of none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.disk.data_folder import Name
from common.errors import PeerFailed, PolicyError
from common.mpc.session import Array, Kind
from common.plan.train import TrainPlan
from common.stages.job import PartyJob
from common.stages.several import grid
from tests.common.stages.alone import alone
from tests.common.stages.companies import Companies
from tests.common.stages.tables import table

PLAN = TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}})
LAYOUT: Any = SimpleNamespace(grid=4, common=2)
PREPARED: Any = SimpleNamespace(fitted=SimpleNamespace(sources=frozenset("abcd")))


@pytest.fixture
def job(tmp_path: Path) -> PartyJob:
    return alone(Companies(tmp_path))


def own(second: str = "E") -> grid._Own:
    """Two rows of each of two banks, of which each holds out one: D, and the second bank's."""
    return grid._Own(table(["A", "B", "D", second]), {}, [grid.Rows(range(2), 1), grid.Rows(range(2), 1)])  # type: ignore[arg-type]


def lines(job: PartyJob) -> list[PartyJob]:
    return [job, replace(job, client=job.client)]


class Banks:
    """What all banks say of their own books, once the grid has looked at its: their word, or why the job has ended."""

    def __init__(self, cause: PeerFailed | None = None) -> None:
        self.cause, self.heard = cause, 0

    async def common(self, _: Kind, mine: Array) -> Array:
        self.heard += 1
        if self.cause is not None:
            raise self.cause
        return mine


async def begin(job: PartyJob, rows: grid._Own, banks: Banks | None = None) -> None:
    await grid._begin(lines(job), PLAN, banks or Banks(), rows, PREPARED, LAYOUT)  # type: ignore[arg-type]


def had(job: PartyJob) -> list[int]:
    return [usage.rows for usage in job.home.rates.usage()]


async def test_rows_of_two_lines_that_are_too_many_together_are_counted_on_neither(job: PartyJob) -> None:
    job.home.policy = job.home.policy.model_copy(update={"rows_per_day": 1})
    with pytest.raises(PolicyError, match=r"at most 1 \(rows_per_day\), of which 1 are left, got 2"):
        await begin(job, own())
    assert had(job) == []
    await begin(job, own("D"))  # one row that both banks hold out
    assert had(job) == [1]


async def test_what_the_budget_refuses_on_the_second_line_is_counted_on_neither(job: PartyJob) -> None:
    before = job.home.positions()[Name.RATES]
    for model in ("m1", "m2"):
        job.home.ledger.charge(table(["E"]), model, 2)  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match="1 of 1 rows have been scored by 2 models already"):
        await begin(job, own())
    assert had(job) == [] and job.home.positions()[Name.RATES] == before
    await begin(job, own("F"))
    assert had(job) == [2]


async def test_what_a_banks_books_refuse_has_cost_the_grid_nothing_and_the_reverse(job: PartyJob) -> None:
    banks = Banks(PeerFailed("the labels have been told"))
    with pytest.raises(PeerFailed, match="the labels have been told"):
        await begin(job, own(), banks)
    assert had(job) == [] and banks.heard == 1
    for model in ("m1", "m2"):
        job.home.ledger.charge(table(["E"]), model, 2)  # type: ignore[attr-defined]
    banks = Banks()
    with pytest.raises(PolicyError, match="1 of 1 rows have been scored by 2 models already"):
        await begin(job, own(), banks)
    assert banks.heard == 0  # so no bank hears that it may charge
