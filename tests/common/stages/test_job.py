"""A job as a party holds it: warnings for its owner, counts for others where the plan opens them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from common.disclosure import Opened
from common.errors import PolicyError
from common.plan.job_stages import Stage
from common.rows.table import FeatureTable
from tests.common.stages.alone import alone
from tests.common.stages.companies import Companies, Recorder
from tests.common.stages.tables import table
from tests.patience import patience


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


def test_counts_are_reported_only_where_the_plan_opens_them(companies: Companies) -> None:
    job = alone(companies)
    job.session._allowed = frozenset(Opened) - {Opened.COUNTS}
    with pytest.raises(PolicyError, match="counts"):
        job.count(own_rows=1)
    assert isinstance(job.reporter, Recorder)
    assert (job.outcome.counts, job.reporter.counted) == ({}, [])


async def test_a_rate_that_is_begun_is_refused_at_once_and_is_on_disk_when_it_is_done(companies: Companies) -> None:
    job, rows = alone(companies), table(["A", "B"])
    written = threading.Event()

    def enter(rows: FeatureTable, model: str, allowed: Callable[[], None]) -> None:
        if model == "refused":
            raise PolicyError("too many")
        allowed()
        assert written.wait(patience(10))
        if model == "full":
            raise OSError("no space left")

    job.enter_rate = enter  # type: ignore[method-assign]
    with pytest.raises(PolicyError, match="too many"):
        await job.begin_rate(rows, "refused")
    begun = [await job.begin_rate(rows, model) for model in ("good", "full")]
    assert not any(rated.done() for rated in begun)
    written.set()
    await begun[0]
    with pytest.raises(OSError, match="no space"):
        await begun[1]


async def test_a_rate_that_is_begun_is_in_the_book(companies: Companies) -> None:
    job = alone(companies)
    await (await job.begin_rate(table(["A", "B"]), "m1"))
    assert [usage.rows for usage in job.home.rates.usage()] == [2]
