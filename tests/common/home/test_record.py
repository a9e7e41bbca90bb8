"""What a job leaves for its reviewers: right counts, private files, nothing that is a row's."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from common.errors import DataError, JobNotFound
from common.home import record as module
from common.home.record import Seen, code_fingerprint, load_record, make_record, save_record
from common.party import Party
from common.rows.table import FeatureTable, Ids
from tests.bank_party.decision.test_decide import MODEL
from tests.common.stages.companies import Companies, frames


async def test_a_job_leaves_a_record_at_both_parties(tmp_path: Path) -> None:
    companies = Companies(tmp_path, monthly=True)
    data = frames(2, monthly=True)
    companies.write(data)
    before = datetime.now(UTC).replace(microsecond=0)
    outcomes = await companies.run("job-1", companies.plan())
    for party in Party:
        folder = companies.models(party).folder("job-1")
        found = load_record("job-1", folder)
        assert (folder / "record.json").stat().st_mode & 0o777 == 0o600
        assert found.counts == outcomes[party].counts
        assert list(found.opened) == outcomes[party].opened
        assert before <= found.finished <= datetime.now(UTC)
        assert {f.name for f in found.features} == set(companies.models(party).load("job-1").source)
        assert sum(f.prepared for f in found.features) == found.counts["trained_columns"] - (party is Party.BANK)
        assert sum(m.train for m in found.months) == found.counts["train_rows"]
        assert sum(m.held for m in found.months) == found.counts["test_rows"]
        assert not [i for i in data[party].iloc[:, 0] if str(i) in (folder / "record.json").read_text()]
    grid, bank = (load_record("job-1", companies.models(party).folder("job-1")) for party in Party)
    assert [(m.period, m.train, m.held) for m in grid.months] == [(m.period, m.train, m.held) for m in bank.months]
    both = data[Party.BANK].merge(data[Party.GRID], left_on=["firm", "month"], right_on=["id", "month"])
    overdue = both.groupby("month")["overdue"].sum().tolist()
    assert [(m.train_bad or 0) + (m.held_bad or 0) for m in bank.months] == overdue
    assert {m.train_bad for m in grid.months} == {None} and {f.iv for f in grid.features} == {None}
    assert grid.refits == () and [r.name for r in bank.refits] == ["income", "debt", "(intercept)"]


def table(rows: int = 40) -> FeatureTable:
    columns = {"debt": np.arange(rows, dtype=np.float64), "tax": np.ones(rows)}
    label = (np.arange(rows) % 4 == 0).astype(np.float64)
    return FeatureTable(Ids.of([f"F{k}" for k in range(rows)]), None, columns, {}, label, tuple(columns))


def saved(folder: Path) -> None:
    save_record(make_record(MODEL, table(), 30, Seen({"train_rows": 30}, {}, ("split",)), ()), folder)


def test_without_periods_all_rows_are_one_month(tmp_path: Path) -> None:
    saved(tmp_path)
    (month,) = load_record(MODEL.job, tmp_path).months
    assert (month.period, month.train, month.held, month.train_bad, month.held_bad) == (None, 30, 10, 8, 2)


@pytest.mark.parametrize("change", [{"version": 2}, {"job": "other"}, {"extra": 1}, {"months": "no"}])
def test_a_record_that_is_not_what_was_written_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    saved(tmp_path)
    file = tmp_path / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match="damaged"):
        load_record(MODEL.job, tmp_path)
    file.unlink()
    with pytest.raises(JobNotFound):
        load_record(MODEL.job, tmp_path)


def test_anybody_can_repeat_the_codes_fingerprint() -> None:
    root = Path(module.__file__).parents[2]
    names = "-name '*.py' -o -name '*.j2' -o -name '*.toml'"
    command = f"find common grid_party bank_party {names} | LC_ALL=C sort | xargs sha256sum"
    printed = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, check=True).stdout
    assert code_fingerprint() == hashlib.sha256(printed).hexdigest()
