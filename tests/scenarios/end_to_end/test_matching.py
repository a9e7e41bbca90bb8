"""Three real daemons whose ids are matched by a program beside them: allowed by both or refused, and what its failures do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from common.client.client import Client
from tests.common.match.fake import fake_python
from tests.common.match.test_choose import is_gone
from tests.scenarios.end_to_end.lab import (
    BANK_POLICY,
    GRID_POLICY,
    Lab,
    eventually,
    fail,
    finish,
    make_plan,
    make_tables,
    succeed,
)

PYTHON = os.environ.get("WATTSCORE_PSI_PYTHON", "")
PLAN = make_plan("scratch", matching="rr22")


def allow(lab: Lab, grid: Path, bank: Path) -> None:
    """Both parties again, with these matchers."""
    for name, policy, python in (("grid", GRID_POLICY, grid), ("bank", BANK_POLICY, bank)):
        lab.restart(name, policy={**policy, "matching": ["rr22"]}, matcher={"python": str(python)})


def test_it_is_refused_by_default(client: Client) -> None:
    origin, kind, message = fail(client, make_plan("main", matching="rr22"))
    assert origin in ("grid", "bank") and kind == "PolicyError" and message.endswith("does not allow: matching = 'rr22'")


def test_a_matcher_that_works_one_that_dies_and_one_that_is_cancelled(lab: Lab, client: Client, folder: Path) -> None:
    grid, bank, told = folder / "grid-matcher", folder / "bank-matcher", folder / "told"
    allow(lab, fake_python(grid), fake_python(bank))
    lab.write("scratch", *make_tables("P"))
    job = succeed(client, PLAN)
    assert job.grid.report.counts.matched_ids == job.bank.report.counts.matched_ids == 1500
    assert job.bank.report.evaluation.joint.auc > job.bank.report.evaluation.bank_only.auc + 0.05

    fake_python(grid, "killed")
    assert fail(client, PLAN) == ("grid", "HelperFailed", "the matcher ended with signal 9")

    fake_python(grid)
    fake_python(bank, "silent", told=told)
    job_id = client.submit(PLAN).id
    eventually(lambda: told.exists() and told.read_text() != "")
    assert client.cancel(job_id).state == "cancelled"
    facts = json.loads(told.read_text())
    eventually(lambda: all(is_gone(pid) for pid in facts["pids"]) and not Path(facts["folder"]).exists())

    bank.unlink()
    assert fail(client, PLAN) == ("bank", "ConfigError", "matcher.python is no program that can be run")


@pytest.mark.skipif(not PYTHON, reason="WATTSCORE_PSI_PYTHON names no python with spu: RR22 itself is NOT tested")
def test_the_real_matcher(lab: Lab, client: Client) -> None:
    allow(lab, Path(PYTHON), Path(PYTHON))
    lab.write("scratch", *make_tables("Q"))
    job = finish(client, client.submit(PLAN).id, 60.0)
    assert job.state == "succeeded", job.fault.message
    assert job.grid.report.counts.matched_ids == 1500
