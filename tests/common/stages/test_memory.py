"""A job that may hold nothing in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.disk import blobs
from common.disk.scratch import Stored
from common.home import rowsets, setbook
from common.monitor import reference
from common.party import Party
from common.rows import alike, dataset, hashes, ids
from common.rows import table as rows
from common.stages import align, job, split
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
    assert second.joint.auc == pytest.approx(first.joint.auc, abs=0.01)  # scores are opened in steps, each time others
    assert second.bank_only.auc == pytest.approx(first.bank_only.auc, abs=1e-9)
    halves = [{party: companies.models(party).load(job) for party in Party} for job in ("job-1", "job-2")]
    for party in Party:
        np.testing.assert_allclose(weights_of(halves[0], party), weights_of(halves[1], party), atol=0.02)
        old, new = (companies.models(party).load(job) for job in ("job-1", "job-2"))
        assert old.columns == new.columns
        assert list((companies.home(party) / "scratch").iterdir()) == []


async def test_rows_worked_on_a_few_at_a_time_make_the_job_of_all_at_once(
    companies: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of tables of millions of rows: ids by their hashes, sets, splits and columns by pieces, memory given back."""
    one = await companies.run("job-1", companies.plan())
    given = list[str]()
    monkeypatch.setattr(job, "give_memory_back", lambda: given.append("back"))
    for module, name, few in (
        (ids, "MANY", -1), (dataset, "MANY", -1), (job, "_MANY", -1), (alike, "_SOME", 7), (rows, "_SOME", 7),
        (hashes, "_BLOCK", 7), (align, "_SOME", 7), (rowsets, "_SOME", 7), (setbook, "_SOME", 7), (reference, "_ROWS", 7),
        (blobs, "_PIECE", 64), (split, "_SOME", 7),
    ):  # fmt: skip
        assert getattr(module, name) > few
        monkeypatch.setattr(module, name, few)
    two = await companies.run("job-2", companies.plan())
    assert len(given) == 2 * (6 + 6)  # after each stage, and six times within one
    for party in Party:
        assert two[party].counts == one[party].counts and two[party].warnings == one[party].warnings
        assert companies.models(party).load("job-1").columns == companies.models(party).load("job-2").columns
    first, second = one[Party.BANK].evaluation, two[Party.BANK].evaluation
    assert first is not None and second is not None
    assert second.bank_only.auc == pytest.approx(first.bank_only.auc, abs=1e-9), "the same rows are held out"
    assert second.joint.auc == pytest.approx(first.joint.auc, abs=0.01)  # scores are opened in steps, each time others
