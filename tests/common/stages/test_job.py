"""A job as a party holds it: warnings for its owner, counts for others where the plan opens them."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.disclosure import Opened
from common.disk.book import KeptBook
from common.disk.data_folder import Name
from common.errors import PolicyError
from common.home.rates import Rates
from common.learn.learner import Size
from common.mpc.beside import side_by_side
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.train import TrainPlan
from common.stages.course import Course
from common.stages.job import Beginning, PartyJob
from common.stages.willing import agree_to_charge
from tests.common.stages.alone import alone
from tests.common.stages.companies import Companies, Recorder
from tests.common.stages.tables import table
from tests.peers import Trio


@pytest.fixture
def companies(tmp_path: Path) -> Companies:
    return Companies(tmp_path)


def test_what_a_warning_says_is_for_its_party_and_others_hear_that_there_is_one(companies: Companies) -> None:
    job = alone(companies)
    job.warn()
    with job.stage(Stage.PREPARE):
        job.warn("left out 'region=north'", "left out 'x'")
    job.warn("scores reach 13", public="scores reach 13")
    assert job.outcome.warnings == ["left out 'region=north'", "left out 'x'", "scores reach 13"]
    assert job.outcome.public_warnings == ["2 warning(s) while in stage 'prepare': see the log of the grid", "scores reach 13"]
    assert isinstance(job.reporter, Recorder)
    assert job.reporter.warnings == job.outcome.public_warnings
    job.note("column 'tax': numbers, commas between thousands")
    assert job.outcome.notes == ["column 'tax': numbers, commas between thousands"]
    assert job.reporter.warnings == job.outcome.public_warnings and len(job.outcome.warnings) == 3
    job.warn_alone(None)
    job.warn_alone("few rows are overdue")
    assert job.outcome.warnings[3:] == ["few rows are overdue"]
    assert job.reporter.warnings == job.outcome.public_warnings and len(job.outcome.public_warnings) == 2


def test_counts_are_reported_only_where_the_plan_opens_them(companies: Companies) -> None:
    job = alone(companies)
    job.session._allowed = frozenset(Opened) - {Opened.COUNTS}
    with pytest.raises(PolicyError, match="counts"):
        job.count(own_rows=1)
    assert isinstance(job.reporter, Recorder)
    assert (job.outcome.counts, job.reporter.counted) == ({}, [])


def half(repeats: bool = True) -> Any:
    """As much of a model of four columns as is asked of one before it scores: two models may score a row."""
    return SimpleNamespace(job="job-1", fitted=SimpleNamespace(sources=frozenset("abcd")), repeats=repeats)


def counted(job: PartyJob) -> list[tuple[int, int]]:
    """Rows, and the most models of one, that the client has had today."""
    return [(usage.rows, usage.models) for usage in job.home.rates.usage()]


@pytest.mark.parametrize("repeats", [True, False])
def test_an_attempt_that_can_tell_something_new_of_a_row_is_charged_anew(companies: Companies, repeats: bool) -> None:
    """By trees or a network: a bank that breaks off and goes on with other columns hears of a row as often as is allowed."""
    job, rows = alone(companies), table(["A", "B"])
    for attempt in range(4):
        job.course = Course(attempt=attempt)
        for _ in range(2):  # in one attempt once
            if repeats or attempt < 2:
                job.charge_scores(rows, half(repeats))
            else:
                with pytest.raises(PolicyError, match="have been scored by 2 models already"):
                    job.charge_scores(rows, half(repeats))


def test_what_the_budget_of_columns_refuses_counts_for_no_rate(companies: Companies) -> None:
    job, rows = alone(companies), table(["A", "B"])
    for model in ("m1", "m2"):
        job.home.ledger.charge(table(["B"]), model, 2)  # type: ignore[attr-defined]
    with pytest.raises(PolicyError, match="1 of 2 rows have been scored by 2 models already"):
        job.charge_scores(rows, half())
    assert counted(job) == []
    job.charge_scores(table(["A"]), half())
    assert counted(job) == [(1, 1)]


def test_what_a_rate_refuses_is_no_charge_to_the_budget_of_columns(companies: Companies) -> None:
    job, before = alone(companies), alone(companies).home.positions()[Name.LEDGER]
    job.home.policy = job.home.policy.model_copy(update={"rows_per_day": 1})
    with pytest.raises(PolicyError, match="more rows to be scored than it may have"):
        job.charge_scores(table(["A", "B"]), half())
    assert job.home.positions()[Name.LEDGER] == before and counted(job) == []


@pytest.mark.parametrize(("repeats", "times"), [(True, 9), (False, 2)])
async def test_a_row_asked_for_again_is_charged_where_it_may_tell_something_new(
    companies: Companies, repeats: bool, times: int
) -> None:
    job, rows = alone(companies), table(["A"])
    for _ in range(times):
        await (await job.charge_ahead(rows, half(repeats)))
    if not repeats:
        with pytest.raises(PolicyError, match="have been scored by 2 models already"):
            await (await job.charge_ahead(rows, half(repeats)))
    assert counted(job) == [(1, 1)]


@pytest.mark.parametrize("full", [False, True])
async def test_rows_given_back_are_those_that_were_counted_and_not_of_who_came_after_a_full_disk(
    companies: Companies, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """What another process counts where the disk refused this one's entry has its number, and stood in its place."""
    job, rows, commit = alone(companies), table(["A"]), KeptBook.commit
    rates, client, policy = job.home.rates, job.client, job.home.policy
    assert counted(job) == []  # the book is open

    def committed(self: KeptBook, book: sqlite3.Connection) -> None:
        if full:
            book.rollback()
            raise OSError(errno.ENOSPC, "no space left", str(self._file))
        commit(self, book)

    with monkeypatch.context() as patch:
        patch.setattr(KeptBook, "commit", committed)
        rated = await job.rate_ahead(rows, "m")
        await asyncio.wait((rated.kept,))
    if not full:
        await rated.give_back(rows)
        assert counted(job) == [(0, 0)]
        return
    other = Rates(rates._book._file, "bank-party")
    other.charge(client, rows, "m", policy)
    other.close()
    with pytest.raises(OSError, match="no space left"):
        await rated.give_back(rows)
    await rated.lost(rows)  # whose caller has a better error to raise
    assert counted(job) == [(1, 1)]


async def test_rows_with_which_a_job_is_cancelled_are_given_back_before_it_ends(companies: Companies) -> None:
    job, rows, asked = alone(companies), table(["A"]), asyncio.Event()

    async def waits() -> None:
        rated = await job.rate_ahead(rows, "m")
        try:
            asked.set()
            await asyncio.Event().wait()
        except BaseException:
            await rated.lost(rows)
            raise

    task = asyncio.create_task(waits())
    await asked.wait()
    task.cancel()
    await asyncio.sleep(0)  # it gives back by now
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled() and counted(job) == [(0, 0)]


@pytest.mark.parametrize("by", ["rates", "budget"])
async def test_a_training_that_is_refused_is_charged_nowhere(companies: Companies, by: str) -> None:
    trio = Trio()
    job, rows = alone(companies, trio), table(["A", "B", "C"])
    policy = {"rows_per_day": 1} if by == "rates" else {"min_columns": 9}
    job.home.policy = job.home.policy.model_copy(update=policy)
    before = job.home.positions()[Name.LEDGER]
    with pytest.raises(PolicyError, match="in 24 hours" if by == "rates" else "4 columns of the grid are too few"):
        await job.charge_training(open_plan(), Beginning(rows, Size(1, 4, 3), half(), None))
    assert counted(job) == [] and job.home.positions()[Name.LEDGER] == before
    job.home.policy = job.home.policy.model_copy(update={"rows_per_day": 100, "min_columns": 1})
    charged = job.charge_training(open_plan(), Beginning(rows, Size(1, 4, 3), half(), None))
    await side_by_side([charged, agree_to_charge(trio.session[Party.BANK])])
    assert counted(job) == [(2, 1)] and job.home.positions()[Name.LEDGER] > before


def open_plan() -> TrainPlan:
    """Its weights are told, and so the rows that train are charged."""
    return TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": {"reveal": "owners"}})
