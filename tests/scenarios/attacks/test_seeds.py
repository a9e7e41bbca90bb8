"""A dealer that deals one seed to both lets each read the other's matrix; one that repeats itself, their differences."""

from __future__ import annotations

import pytest

from common.plan.predeal import PredealPlan
from common.trial import processes
from common.wire.coordinator_pb2 import Job
from tests.scenarios.end_to_end.lab import Lab, eventually, make_plan, make_tables, run, works
from tests.source import ROOT

JOBS = 10
FEW = 2000  # bytes both ways, the fingerprints and the dealer's messages included: no id, no row


@pytest.fixture
def rogue(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setitem(processes._MODULES, "coordinator", "tests.scenarios.attacks.rogue_dealer")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return monkeypatch


def refused_by_both(job: Job) -> bool:
    """Whether it ended as it should, before anything was sent."""
    sent = [side.progress.bytes for side in (job.grid, job.bank)]
    return job.fault.kind == "PeerProtocolError" and "dealt a seed" in job.fault.message and max(sent) < FEW


def test_one_seed_for_both(lab: Lab, rogue: pytest.MonkeyPatch) -> None:
    rogue.setenv("WATTSCORE_ROGUE", "same")
    lab.write("rows", *make_tables("S"))
    lab.restart("coordinator")
    with lab.client() as client:
        for _ in range(JOBS):
            assert refused_by_both(job := run(client, make_plan("rows"))), job.fault
    for name in ("grid", "bank"):  # a client hears of whichever was first
        eventually(lambda name=name: lab.written(name).count("Do not use this coordinator") >= JOBS)  # type: ignore[misc]


def test_seeds_that_a_stock_and_earlier_jobs_have_had(lab: Lab, rogue: pytest.MonkeyPatch) -> None:
    rogue.setenv("WATTSCORE_ROGUE", "again")
    lab.write("rows", *make_tables("S"))
    lab.restart("coordinator")
    stock = PredealPlan.model_validate({"rows": 1100, "grid_columns": 12, "bank_columns": 4})
    with lab.client() as client:
        assert run(client, stock).state == "succeeded"  # never seen yet
        assert refused_by_both(run(client, stock))
        for dealt in ("online", "ahead"):
            assert refused_by_both(run(client, make_plan("rows", dealt=dealt)))
        for name in ("grid", "bank"):
            lab.restart(name)
            assert refused_by_both(run(client, make_plan("rows")))
    rogue.undo()
    lab.restart("coordinator")
    with lab.client() as again:
        works(lab, again)
