"""The held-out bundle on disk: an exact round trip, for its owner alone, and no file that was altered is read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bank_party.decision.bundle import ROWS, RULES, HeldOut, load, load_decision, save
from common.errors import DataError, JobNotFound
from tests.bank_party.decision.worlds import held_out


@pytest.fixture(scope="module")
def held() -> HeldOut:
    return held_out(calibration="isotonic", segments=["region", "income"], exposure="listed")[0]


def test_every_bit_survives(held: HeldOut, tmp_path: Path) -> None:
    save(held, tmp_path / "job-1")
    again = load("job-1", tmp_path / "job-1")
    for name in (f.name for f in fields(HeldOut)):
        mine, theirs = getattr(held, name), getattr(again, name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype, name
            np.testing.assert_array_equal(mine, theirs, strict=True)
        elif name == "ids":
            assert mine.tolist() == theirs.tolist()
        elif name != "segments":
            assert mine == theirs, name
    assert list(again.segments) == ["region", "income"]
    assert np.isnan(again.segments["income"]).any() and (again.segments["region"] == None).any()  # noqa: E711
    for name, values in held.segments.items():
        np.testing.assert_array_equal(values, again.segments[name])
    assert load_decision("job-1", tmp_path / "job-1") == held.decision
    assert np.array_equal(
        again.decision.calibration.probability(held.u_joint), held.decision.calibration.probability(held.u_joint)
    )


def test_rows_without_periods_stay_without(held: HeldOut, tmp_path: Path) -> None:
    save(replace(held, periods=None), tmp_path)
    assert load("job-1", tmp_path).periods is None


def test_files_are_for_their_owner_alone_also_when_written_again(held: HeldOut, tmp_path: Path) -> None:
    for _ in range(2):
        save(held, tmp_path)
        assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {RULES: 0o600, ROWS: 0o600}
        (tmp_path / RULES).chmod(0o644)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobNotFound, match="no decision rules of job job-1"):
        load("job-1", tmp_path)


@pytest.mark.parametrize("harm", ["rows", "rules", "job", "unknown", "missing"])
def test_altered_files_are_refused(held: HeldOut, tmp_path: Path, harm: str) -> None:
    save(held, tmp_path)
    head = json.loads((tmp_path / RULES).read_text())
    if harm == "rows":
        data = bytearray((tmp_path / ROWS).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / ROWS).write_bytes(data)
    elif harm == "missing":
        (tmp_path / ROWS).unlink()
    elif harm == "rules":
        (tmp_path / RULES).write_text((tmp_path / RULES).read_text()[:-20])
    else:
        head |= {"job": "job-2"} if harm == "job" else {}
        head["decision"] |= {"trust": 1} if harm == "unknown" else {}
        (tmp_path / RULES).write_text(json.dumps(head))
    with pytest.raises(DataError, match="damaged"):
        load("job-1", tmp_path)


def test_a_calibration_that_falls_is_not_read(held: HeldOut, tmp_path: Path) -> None:
    save(held, tmp_path)
    head = json.loads((tmp_path / RULES).read_text())
    head["decision"]["calibration"]["levels"].reverse()
    (tmp_path / RULES).write_text(json.dumps(head))
    with pytest.raises(DataError, match="damaged"):
        load_decision("job-1", tmp_path)


def test_no_row_shows_in_a_log(held: HeldOut) -> None:
    assert repr(held) == "HeldOut(job-1, 2000 rows)"
