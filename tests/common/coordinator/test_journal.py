"""Jobs on disk: one row each, in order, across processes."""

from __future__ import annotations

from pathlib import Path

from common.coordinator.journal import Journal


def test_jobs_are_read_back_in_the_order_of_their_first_writing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "jobs.sqlite")
    assert list(journal.read()) == []
    for job, data in (("b", b"1"), ("a", b"2"), ("b", b"3")):
        journal.write(job, data)
    assert list(journal.read()) == [b"3", b"2"]
    again = Journal(tmp_path / "new" / "jobs.sqlite")
    again.write("c", bytes(range(256)))
    assert list(journal.read()) == [b"3", b"2", bytes(range(256))]
