"""The book of runs: how far each is, written down before anything outside is done and after it, durable each time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from common.disk.book import open_book
from common.errors import JobStateError

_VERSION = 1
_TABLES = (
    "create table if not exists runs (run text primary key, pipeline text not null, why text not null, alarms text not null,"
    " plan text not null, at real not null, state text not null, note text not null, ended real not null)",
    "create table if not exists steps (number integer primary key, run text not null, step text not null, at real not null,"
    " jobs text not null, ended real not null, facts text not null, unique (run, step))",
)


class Step(StrEnum):
    """The steps of a run, in order."""

    FEATURES = "features"
    TRAIN = "train"
    CHALLENGE = "challenge"
    REPORT = "report"
    PEOPLE = "people"
    SHADOW = "shadow"
    SWITCH = "switch"


class RunState(StrEnum):
    OPEN = "open"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Run:
    """why: what began it; alarms: the keys of those that did. plan: canonical, what it trains by. Seconds since 1970; ended: 0
    while it is open. note: why it was stopped.
    """

    run: str
    pipeline: str
    why: str
    alarms: tuple[str, ...]
    plan: str
    at: float
    state: RunState
    note: str
    ended: float


@dataclass(frozen=True)
class Taken:
    """A step that has begun. jobs: by their part in it, what the coordinator calls them; facts: what came of it. ended: 0
    while it is not done.
    """

    run: str
    step: Step
    at: float
    jobs: Mapping[str, str]
    ended: float
    facts: Mapping[str, Any]

    @property
    def done(self) -> bool:
        return self.ended > 0.0


class RunBook:
    """One SQLite file, each entry durable. clock: seconds since 1970."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        with self._open() as book:
            for table in _TABLES:
                book.execute(table)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, version=_VERSION, durable=True)

    def begin(self, run: str, pipeline: str, why: str, alarms: Sequence[str], plan: str) -> Run:
        """Enters a run. Raises JobStateError where one of this pipeline is open."""
        row = (run, pipeline, why, json.dumps(list(alarms)), plan, self._clock(), RunState.OPEN.value, "", 0.0)
        with self._open() as book:
            book.execute("begin immediate")
            if (other := _newest(book, pipeline)) is not None and other.state is RunState.OPEN:
                raise JobStateError(f"run {other.run} of the pipeline {pipeline} is not over", remedy="It goes on first.")
            book.execute("insert into runs values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return _run(row)

    def end(self, run: str, state: RunState, note: str = "") -> None:
        with self._open() as book:
            changes = (state.value, note, self._clock(), run, RunState.OPEN.value)
            book.execute("update runs set state = ?, note = ?, ended = ? where run = ? and state = ?", changes)

    def find(self, run: str) -> Run | None:
        with self._open() as book:
            row = book.execute("select * from runs where run = ?", (run,)).fetchone()
        return None if row is None else _run(row)

    def newest(self, pipeline: str) -> Run | None:
        with self._open() as book:
            return _newest(book, pipeline)

    def runs(self, most: int) -> list[Run]:
        """Of all pipelines, the newest first."""
        with self._open() as book:
            return [_run(row) for row in book.execute("select * from runs order by rowid desc limit ?", (most,))]

    def start(self, run: str, step: Step) -> Taken:
        """The step as it stands, entered as begun from now on if it is new."""
        with self._open() as book:
            row = (run, step.value, self._clock(), "{}", 0.0, "{}")
            entry = "insert or ignore into steps (run, step, at, jobs, ended, facts) values (?, ?, ?, ?, ?, ?)"
            book.execute(entry, row)
            return next(taken for taken in _steps(book, run) if taken.step is step)

    def name_job(self, taken: Taken, part: str, job: str) -> None:
        """Enters the job that this part of a step is."""
        with self._open() as book:
            change = "update steps set jobs = json_patch(jobs, ?) where run = ? and step = ?"
            book.execute(change, (json.dumps({part: job}), taken.run, taken.step.value))

    def finish(self, taken: Taken, facts: Mapping[str, Any]) -> None:
        """The step is done, and not done again."""
        with self._open() as book:
            change = "update steps set ended = ?, facts = ? where run = ? and step = ?"
            book.execute(change, (self._clock(), json.dumps(facts), taken.run, taken.step.value))

    def steps(self, run: str) -> dict[Step, Taken]:
        """Those that have begun, in their order."""
        with self._open() as book:
            return {taken.step: taken for taken in _steps(book, run)}


def _newest(book: sqlite3.Connection, pipeline: str) -> Run | None:
    row = book.execute("select * from runs where pipeline = ? order by rowid desc limit 1", (pipeline,)).fetchone()
    return None if row is None else _run(row)


def _run(row: Sequence[Any]) -> Run:
    run, pipeline, why, alarms, plan, at, state, note, ended = row
    return Run(run, pipeline, why, tuple(json.loads(alarms)), plan, at, RunState(state), note, ended)


def _steps(book: sqlite3.Connection, run: str) -> list[Taken]:
    found = book.execute("select run, step, at, jobs, ended, facts from steps where run = ? order by number", (run,))
    return [Taken(name, Step(step), at, json.loads(jobs), end, json.loads(facts)) for name, step, at, jobs, end, facts in found]
