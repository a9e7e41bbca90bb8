"""A job that may hold nothing in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.disk.scratch import Stored
from common.party import Party
from tests.common.stages.companies import Companies, frames
from tests.common.stages.plain import weights_of


@pytest.fixture(params=[False, True], ids=["by-id", "by-month"])
def companies(request: pytest.FixtureRequest, tmp_path: Path) -> Companies:
    made = Companies(tmp_path, monthly=request.param)
    made.write(frames(3, request.param))
    return made


async def test_a_job_short_of_memory_ends_as_one_that_is_not(companies: Companies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns, own rows and the masked matrix in files, a CSV copied first; the model is the same to its rounding."""
    read: list[tuple[int, ...]] = []
    take = Stored.__getitem__
    monkeypatch.setattr(Stored, "__getitem__", lambda self, rows: read.append(self.shape) or take(self, rows))
    one = await companies.run("job-1", companies.plan())
    assert not read
    companies.memory = 0
    two = await companies.run("job-2", companies.plan())
    assert {len(shape) for shape in read} == {1, 2}
    first, second = one[Party.BANK].evaluation, two[Party.BANK].evaluation
    assert first is not None and second is not None
    assert second.joint.auc == pytest.approx(first.joint.auc, abs=0.002)
    assert second.bank_only.auc == pytest.approx(first.bank_only.auc, abs=1e-9)
    halves = [{party: companies.models(party).load(job) for party in Party} for job in ("job-1", "job-2")]
    for party in Party:
        np.testing.assert_allclose(weights_of(halves[0], party), weights_of(halves[1], party), atol=0.02)
        old, new = (companies.models(party).load(job) for job in ("job-1", "job-2"))
        assert old.columns == new.columns
        assert list((companies.home(party) / "scratch").iterdir()) == []
