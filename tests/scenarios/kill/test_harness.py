"""A few jobs under a short seeded list of disturbances; `python -m tests.scenarios.kill.harness` runs longer ones."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.disk.data_folder import Name
from common.mpc.session import Kind, Round
from common.wire import coordinator_pb2 as wire
from tests.scenarios.kill.harness import Operation, Play, apart, drawn
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.masks import Sent, read_frames, twice, write_frame
from tests.scenarios.kill.town import DAEMONS, PARTIES, Disturbed, Town, faults
from tests.scenarios.kill.victim import Victim


@pytest.mark.parametrize("seed", [1])
def test_every_job_ends_well_whatever_happens(tmp_path: Path, seed: int) -> None:
    said: list[str] = []
    with Lines() as lines, Town(tmp_path, lines) as town:
        assert Play(town, seed, said.append).run(jobs=4, operations=8) == [], "\n".join(said)
        assert all(len(read_frames(tmp_path, party)) > 50 for party in PARTIES)  # else nothing was looked at


class Over(Town):
    """A town after its jobs: nothing runs, and both data folders are there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for party in PARTIES:
            (self.data(party) / Name.UNFINISHED).mkdir(parents=True)
        with closing(sqlite3.connect(self.data("bank") / Name.TOLD)) as book, book:
            book.execute("create table told (job, what)")


class Asked:
    """A client that is told of these jobs, all trained and over."""

    def __init__(self, **states: str) -> None:
        self._jobs = [wire.Job(id=job, state=state, kind="train", ended=1.0) for job, state in states.items()]

    def jobs(self) -> list[wire.Job]:
        return self._jobs


def test_what_does_not_hold_is_told_of_each_kind(tmp_path: Path) -> None:
    town, nothing = Over(tmp_path), np.arange(9)
    assert faults(town, Asked(), []) == []  # type: ignore[arg-type]
    (tmp_path / "grid-data" / Name.UNFINISHED / "job-1").mkdir()
    with (tmp_path / "grid.101.frames").open("wb") as file:
        for life in (101, 102):
            write_frame(file, Sent("masked_u", life, nothing))
    (tmp_path / "bank.seeds").write_text("101 aa\n102 aa\n")
    never = "Task exception was never retrieved"
    (tmp_path / "coordinator.log").write_text(f"ready\n{never}\nfuture: <Task 7>\nTraceback:\nKeyError\n")
    with closing(sqlite3.connect(tmp_path / "bank-data" / Name.TOLD)) as book, book:
        book.executemany("insert into told values (?, ?)", [("job-2", "metrics")] * 2)
    said = "\n".join(faults(town, Asked(one="failed", two="succeeded"), ["one", "two", "three"]))  # type: ignore[arg-type]
    for text in (
        "jobs lost or doubled: ['three']",
        "states: ['one failed']",
        "models: [], [], of ['two']",
        "something is kept of jobs that are over",
        "bank: charged twice: [('job-2', 'metrics')]",
        "coordinator: an error that nobody looked at: Task exception was never retrieved future: <Task 7> Traceback:",
        "grid: two values under one mask: [('masked_u', 101, 102)]",
        "bank: a seed in two lives: ['aa']",
    ):
        assert text in said


def test_a_training_that_ended_elsewhere_is_told() -> None:
    assert apart({}) == [] and apart({"one": 0.75, "two": 0.7503, "three": 0.7497}) == []
    assert apart({"one": 0.75, "two": 0.7507, "three": 0.75}) == ["two has an AUC of 0.75070, others 0.75000"]


async def test_a_line_that_is_cut_while_it_connects_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, aborted = Stuck(), list[str]()
    lines._down, lines._targets, lines._open = set(), {"grid-coordinator": 1}, {"grid-coordinator": set()}

    def end(name: str) -> Any:
        return SimpleNamespace(transport=SimpleNamespace(abort=lambda: aborted.append(name)))

    async def connect(*_: object) -> tuple[Any, Any]:
        lines._down.add("grid-coordinator")
        return SimpleNamespace(), end("far")

    monkeypatch.setattr("asyncio.open_connection", connect)
    await lines._serve("grid-coordinator", SimpleNamespace(), end("near"))  # type: ignore[arg-type]
    assert sorted(aborted) == ["far", "near"] and not lines._open["grid-coordinator"]


class Stuck(Lines):
    """Lines of which none can be cut."""

    def __init__(self) -> None:
        """Without a loop."""

    def cut(self, name: str) -> None:
        raise OSError("the line holds")

    def all_connections(self) -> dict[str, int]:
        return {"grid-coordinator": 3}


def test_what_fails_is_told_with_its_operation_its_job_its_seed_and_each_process(tmp_path: Path) -> None:
    class Asleep(Town):
        def __init__(self) -> None:
            self.folder, self.lines, self.processes = tmp_path, Stuck(), {name: Ended() for name in DAEMONS}  # type: ignore[misc]

        def client(self) -> Any:
            return nullcontext()

        def attended(self, good: Callable[[], Any], seconds: float) -> str:
            return "train-7"

    class Ended:
        def poll(self) -> int:
            return -9

    for name in DAEMONS:
        (tmp_path / f"{name}.log").write_text(f"the last words of the {name}\n")
    (tmp_path / "bank.killed").write_text("12 before masked_u\n")
    seed = next(s for s in range(100) if _first(s).what == "cut")
    with pytest.raises(AssertionError) as error:
        Play(Asleep(), seed).run(jobs=1, operations=1)
    said = str(error.value)
    assert f"seed {seed}, job 0 (train-7), while {_first(seed)} is done" in said and "OSError: the line holds" in said
    assert "connections: {'grid-coordinator': 3}" in said
    assert "bank: ended with -9, killed 12 before masked_u" in said and "the last words of the grid" in said


def _first(seed: int) -> Operation:
    """The operation of a play of one job, which trains."""
    (found,) = drawn(random.Random(seed), 1, "train", Disturbed.__new__(Disturbed))
    return found


@pytest.mark.parametrize(
    ("told", "kinds", "dies"),
    [
        ("2", ["masked_u", "masked_u", "masked_u"], 2),
        ("masked_update 1", ["masked_u", "masked_update"], 2),
        ("masked_update 1", ["masked_u", "masked_u"], None),
        ("5", ["masked_u", "0", "masked_u", "masked_u", "masked_u", "masked_u", "masked_u"], None),
        ("0", ["masked_u", "masked_u"], None),
    ],
)
def test_a_victim_dies_before_the_array_it_was_told_and_says_so(
    told: str, kinds: list[str], dies: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number among the kinds is what it is told then."""

    class Killed(Exception):
        pass

    def kill(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("os.kill", kill)
    file, sent, died = tmp_path / "bank.kill", 0, None
    file.write_text(told)
    with closing(Victim("bank", tmp_path)) as victim:
        for kind in kinds:
            if kind.isdigit():
                file.write_text(kind)
                continue
            sent += 1
            try:
                victim.sends(Round(Kind(kind), 1), np.zeros(2))
            except Killed:
                died = sent
                break
    assert died == dies
    assert (tmp_path / "bank.killed").exists() == (dies is not None) and not file.exists()


async def test_an_array_that_a_victim_holds_waits_until_its_file_is_gone_and_only_that_one(tmp_path: Path) -> None:
    (tmp_path / "bank.hold").write_text("masked_u 2")
    held, other = tmp_path / "bank.held", Round(Kind.MASKED_UPDATE, 1)
    with closing(Victim("bank", tmp_path)) as victim:
        for round in (Round(Kind.MASKED_U, 1), other, other):
            victim.sends(round, np.zeros(2))
            await victim.waits()
        victim.sends(Round(Kind.MASKED_U, 2), np.zeros(2))
        assert held.exists() and not (tmp_path / "bank.hold").exists()
        waiting = asyncio.create_task(victim.waits())
        await asyncio.sleep(0.03)
        assert not waiting.done()
        held.unlink()
        await waiting
        victim.sends(other, np.zeros(2))
        assert not held.exists()


@pytest.mark.parametrize("count", [20, 400])
@pytest.mark.parametrize("dtype", [np.uint64, np.uint32, np.uint8])
def test_two_values_under_one_mask_are_found(dtype: type, count: int) -> None:
    """Also where they differ in every word, as features of other rows do; and masks of their own are not taken for one."""
    draw = np.random.default_rng(1)
    small = 1 << (np.dtype(dtype).itemsize * 4)
    one, two, values = (draw.integers(0, np.iinfo(dtype).max, count, dtype) for _ in range(3))
    x, y = draw.integers(0, small, count).astype(dtype), draw.integers(0, small, count).astype(dtype)
    if dtype is np.uint8:
        x = y = values
    assert twice([Sent("k", 1, x - one), Sent("k", 2, y - one)]) == [("k", 1, 2)]
    assert twice([Sent("k", 1, x - one), Sent("k", 2, y - two)]) == []
    assert twice([Sent("k", 1, x - one), Sent("other", 2, y - one)]) == []


def test_what_a_killed_life_left_half_written_hides_nothing_of_the_next(tmp_path: Path) -> None:
    """Nor does the order of process ids, which begin anew, turn lives about."""
    for at, life in enumerate((999, 1001)):
        record = tmp_path / f"bank.{life}.frames"
        with record.open("wb") as file:
            for values in (np.arange(9), np.arange(9000)):
                write_frame(file, Sent("masked_u", life, values))
        if life == 999:
            record.write_bytes(record.read_bytes()[:-5000])
        os.utime(record, (at, at))
    (tmp_path / "bank-2.103.frames").write_bytes((tmp_path / "bank.1001.frames").read_bytes())
    assert [(one.life, one.values.size) for one in read_frames(tmp_path, "bank")] == [(999, 9), (1001, 9), (1001, 9000)]
