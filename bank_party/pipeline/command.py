"""`bank-party pipeline`: a timer runs it every now and then; each time it goes as far as it can."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from bank_party.home import BankHome
from bank_party.pipeline.book import Run, RunBook, RunState, Step, Taken
from bank_party.pipeline.config import PipelineConfig, load_pipeline
from bank_party.pipeline.run import Cause, Outcome, advance, begin, cause, check, end, tidy
from bank_party.pipeline.steps import Place
from bank_party.settings import BankSettings
from common.client.client import Client
from common.daemon.commands import Make
from common.daemon.seat import Seat, open_home
from common.disk.data_folder import Name
from common.disk.lock import Lock
from common.errors import ConfigError, JobStateError
from common.monitor.history import History
from common.process.person import person
from common.text.visible import visible

Read = Callable[[BankSettings], History]


def pipeline_command(seat: Seat[BankSettings, BankHome], read: Read, make: Make) -> click.Command:
    """read: the bank's history; make: its report of a job."""

    @click.command()
    @click.argument("pipeline", type=click.Path(path_type=Path))
    @click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
    @click.option("--begin", "begins", is_flag=True, help="Begin a run now, whether or not it is time, where none is open.")
    @click.option("--show", is_flag=True, help="Only show how far the last run is.")
    @click.option("--stop", help="End the run that is open, with this note; a job of it that runs goes on.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
    def pipeline(pipeline: Path, config: Path, begins: bool, show: bool, stop: str | None, as_json: bool) -> None:
        """Go on with the run of PIPELINE (TOML) that is open, or begin one where it is time.

        A run makes features, trains, compares with the champion, writes the report, waits for people of the bank, has both
        models score the same rows and makes the new one the champion. It may be ended anywhere: the next call goes on. Exit
        code 1: a run has ended and the champion has stayed.
        """
        settings, told = seat.load(config), load_pipeline(pipeline)
        home, book = open_home(seat, config), RunBook(settings.data / Name.PIPELINE)
        if show:
            newest = book.newest(told.name)
            _print(Outcome(newest, "" if newest else f"no run of {told.name} has begun yet"), book, as_json)
            return
        lock = _alone(told)
        try:
            tidy(book, home.approvals)
            if stop is not None:
                outcome = _stopped(told, book, home, stop)
            else:
                outcome = _go(told, Bank(settings, home, read, make), book, begins)
        finally:
            lock.release()
        _print(outcome, book, as_json)
        if outcome.run is not None and outcome.run.state is RunState.STOPPED:
            sys.exit(1)

    return pipeline


@dataclass(frozen=True)
class Bank:
    """The bank, as a run meets it."""

    settings: BankSettings
    home: BankHome
    read: Read
    make: Make

    def alarms(self) -> list[str]:
        """The keys of those that nothing has answered yet."""
        return sorted({alarm.key for alarm in self.read(self.settings).alarms} - self.home.history.answered())

    def report(self, job: str, page: Path) -> None:
        from common.report.write import write_report  # it loads what draws: likewise

        write_report(self.make(self.settings, job, "both", None), page)


def _alone(told: PipelineConfig) -> Lock:
    """One process at a time, by the folder of reports, which each pipeline has for itself."""
    try:
        return Lock(told.reports)
    except ConfigError as error:
        message = f"the pipeline {told.name} runs already: {error.message}"
        raise JobStateError(message, remedy="Wait until it is over.") from None


def _stopped(told: PipelineConfig, book: RunBook, home: BankHome, note: str) -> Outcome:
    run = book.newest(told.name)
    if run is None or run.state is not RunState.OPEN:
        raise JobStateError(f"no run of the pipeline {told.name} is open")
    return end(book, home.approvals, run, RunState.STOPPED, f"{person()}: {note}")


def _go(told: PipelineConfig, bank: Bank, book: RunBook, begins: bool) -> Outcome:
    check(told, bank.home)
    run = book.newest(told.name)
    if run is None or run.state is not RunState.OPEN:
        found = Cause(f"asked for by {person()}") if begins else _cause(told, run, bank)
        if found is None:
            return Outcome(None)
        run = begin(told, book, found)
    with Client.from_config(told.client) as client:
        return advance(Place(told, bank.home, book, client, bank.report, partial(_make, told)), run)


def _cause(told: PipelineConfig, before: Run | None, bank: Bank) -> Cause | None:
    alarms = bank.alarms() if told.on_drift else []
    return cause(told, before, alarms, time.time())


def _make(told: PipelineConfig) -> Mapping[str, Any]:
    from common.records.make import make_features  # it loads what reads records: a run that waits does without it

    rows = {}
    for step in told.features:
        made, _, _ = make_features(step.records, step.out, step.quality)
        rows[step.out.name] = made.count
    return {"rows": rows}


def _print(outcome: Outcome, book: RunBook, as_json: bool) -> None:
    run, steps = outcome.run, {} if outcome.run is None else book.steps(outcome.run.run)
    if as_json:
        listed = [{**asdict(taken), "step": step.value} for step, taken in steps.items()]
        click.echo(
            json.dumps(
                {"run": None if run is None else asdict(run), "rests": outcome.rests, "steps": listed}, ensure_ascii=False
            )
        )
        return
    for line in lines(run, steps, outcome.rests):
        click.echo(visible(line))


def lines(run: Run | None, steps: Mapping[Step, Taken], rests: str) -> Iterator[str]:
    """A run as a command line prints it."""
    if run is None:
        yield rests or "no run is open, and it is not time for one"
        return
    yield f"{run.run}  {run.state.value}  began {_when(run.at)}, {run.why}"
    for step in Step:
        taken = steps.get(step)
        how = "" if taken is None else f"done {_when(taken.ended)}" if taken.done else f"began {_when(taken.at)}"
        jobs = "" if taken is None else "  ".join(taken.jobs.values())
        yield f"  {step.value:10} {how:22} {jobs}".rstrip()
    if rests or run.note:
        yield rests or run.note


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
