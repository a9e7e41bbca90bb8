"""A job as a party holds it: warnings for its owner, counts for others where the plan opens them."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.disclosure import Opened
from common.errors import PolicyError
from common.plan.job_stages import Stage
from tests.common.stages.alone import alone
from tests.common.stages.companies import Companies, Recorder


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
