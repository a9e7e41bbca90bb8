"""What a party goes on from: there after a kill, whole or not at all, and gone when its job is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.disk import lock as lock_module
from common.errors import ConfigError, DataError
from common.home.unfinished import Alone, Unfinished


@pytest.fixture
def book(tmp_path: Path) -> Unfinished:
    return Unfinished(tmp_path / "unfinished", lambda: 86_400.0)


def test_a_job_is_known_until_it_is_forgotten(book: Unfinished, tmp_path: Path) -> None:
    assert book.jobs() == [] and book.begun("train-1") is None
    book.begin("train-1", '{"kind": "train"}', "wattscore://acme/client")
    again = Unfinished(tmp_path / "unfinished", lambda: 3 * 86_400.0)
    assert again.jobs() == ["train-1"]
    begun = again.begun("train-1")
    assert begun is not None and (begun.plan, begun.client) == ('{"kind": "train"}', "wattscore://acme/client")
    assert again.days(begun) == 2.0
    assert Unfinished(tmp_path / "unfinished", lambda: 0.0).days(begun) == 0.0  # the clock was set back
    again.forget("train-1")
    again.forget("train-1")
    assert again.jobs() == [] and again.begun("train-1") is None and not list((tmp_path / "unfinished").iterdir())


def test_a_job_that_was_being_entered_is_not_begun(book: Unfinished, tmp_path: Path) -> None:
    (tmp_path / "unfinished" / "train-1").mkdir()
    (tmp_path / "unfinished" / "train-1" / "job.json").write_text('{"plan": "')
    assert book.begun("train-1") is None and book.jobs() == ["train-1"]
    book.forget("../train-1")  # a name that is none reaches no other folder
    assert book.jobs() == ["train-1"]


def test_points_are_read_as_written_and_dropped_as_told(book: Unfinished) -> None:
    book.begin("train-1", "{}", "c")
    points = book.points("train-1")
    for number in (3, 1, 2):
        points.write(number, {"words": np.array([number], np.uint64), "empty": np.zeros(0)})
    assert points.held() == [1, 2, 3]
    assert {name: array.tolist() for name, array in points.read(2).items()} == {"words": [2], "empty": []}
    points.drop(lambda number: number > 1)
    assert points.held() == [1] and points.confirmed == 0
    points.confirm(1)
    assert book.points("train-1").confirmed == 1


def test_the_disk_is_waited_for_where_a_point_was_dropped_alone(book: Unfinished, monkeypatch: pytest.MonkeyPatch) -> None:
    book.begin("train-1", "{}", "c")
    points, waited = book.points("train-1"), list[Path]()
    points.write(1, {"words": np.zeros(1, np.uint64)})
    monkeypatch.setattr("common.home.unfinished.sync_folder", waited.append)
    points.drop(lambda number: number > 1)
    assert points.held() == [1] and not waited
    points.drop(lambda number: number == 1)
    assert points.held() == [] and len(waited) == 1


def test_a_damaged_point_says_so(book: Unfinished, tmp_path: Path) -> None:
    book.begin("train-1", "{}", "c")
    points = book.points("train-1")
    points.write(1, {"words": np.arange(100)})
    (file,) = (tmp_path / "unfinished" / "train-1").glob("*.npz")
    for data in (file.read_bytes()[:-40], b"", b"pickle"):
        file.write_bytes(data)
        with pytest.raises(DataError, match="what was kept of an interrupted job is damaged"):
            points.read(1)
    with pytest.raises(DataError):
        points.read(2)


@pytest.mark.parametrize("before", ["open", "flock"])
def test_a_job_is_looked_at_while_its_process_ends_it(book: Unfinished, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """Whoever looks may have made or opened the folder that is removed then: it is nobody's job, and no error."""
    held = [book.alone("score-1")]
    module = lock_module.os if before == "open" else lock_module.fcntl
    real = getattr(module, before)

    def late(*args: object) -> object:
        if held:
            held.pop().release()
        return real(*args)

    monkeypatch.setattr(module, before, late)
    assert not book.runs_alone("score-1") and not held
    with book.alone("score-1"), pytest.raises(ConfigError):  # and what comes next is seen by all
        book.alone("score-1")


def test_whoever_opened_what_another_has_removed_locks_what_all_find(book: Unfinished, monkeypatch: pytest.MonkeyPatch) -> None:
    first, late = book.alone("score-1"), list[Alone]()
    real = lock_module.fcntl.flock

    def flock(*args: object) -> object:
        if not late:
            late.append(first)
            first.release()
            late.append(book.alone("score-1"))  # begun anew under the name meanwhile
        return real(*args)

    monkeypatch.setattr(lock_module.fcntl, "flock", flock)
    with pytest.raises(ConfigError, match="in use"):
        book.alone("score-1")
    late[1].release()
