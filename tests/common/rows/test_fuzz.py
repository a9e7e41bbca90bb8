"""Small mutations of good tables: refused by a named error, or read to the last line. `fuzz` runs any number of them."""

from __future__ import annotations

from pathlib import Path

from tests.common.rows.fuzz import run


def test_small_changes_of_good_tables_are_refused_by_name_or_read_whole() -> None:
    faults: list[str] = []

    def on_fault(k: int, path: Path, error: BaseException) -> None:
        faults.append(f"mutation {k}: {type(error).__name__}: {error}")

    found = run(400, 1, on_fault)
    assert faults == [] and min(found["refused"], found["read"], found["read with a word"]) > 10, found
