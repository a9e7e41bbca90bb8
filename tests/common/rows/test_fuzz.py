"""Small mutations of good tables: refused by a named error, or read to the last line. `fuzz` runs any number of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.common.rows.fuzz import make, outcome, run
from tests.extent import extent


@pytest.mark.untraced
def test_small_changes_of_good_tables_are_refused_by_name_or_read_whole() -> None:
    faults: list[str] = []

    def on_fault(k: int, path: Path, error: BaseException) -> None:
        faults.append(f"mutation {k}: {type(error).__name__}: {error}")

    found = run(extent(130, 400), 1, on_fault)
    assert faults == [] and min(found["refused"], found["read"], found["read with a word"]) > extent(4, 10), found


@pytest.mark.parametrize("mutation", ["11-7871", "11-8123"])
def test_what_once_ended_in_an_unnamed_error_is_refused(mutation: str, tmp_path: Path) -> None:
    """Parquet files of one byte changed: a name of a column that is no text, a column of fewer rows than its file."""
    assert outcome(make(random.Random(mutation), tmp_path)) == "refused"
