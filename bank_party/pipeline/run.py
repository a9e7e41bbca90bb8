"""A pipeline, each time it is looked at: goes on with the run that is open, or begins one where it is time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bank_party.pipeline.book import Run, RunBook, RunState, Step
from bank_party.pipeline.config import PipelineConfig, train_plan
from bank_party.pipeline.steps import Place, Rest, Stop, take
from common.errors import ConfigError
from common.home.approvals import Approvals
from common.home.home import Home

DAY = 86_400.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """run: None where none is open and it is not time for one. rests: what it waits for."""

    run: Run | None
    rests: str = ""


@dataclass(frozen=True)
class Cause:
    """What a run begins for. alarms: their keys."""

    why: str
    alarms: tuple[str, ...] = ()


def cause(config: PipelineConfig, before: Run | None, alarms: Sequence[str], now: float) -> Cause | None:
    """What there is to begin a run for, if anything. before: the last one; alarms: that nothing has answered yet."""
    if config.on_drift and alarms:
        return Cause(f"drift: {len(alarms)} new alarms", tuple(alarms))
    # one that began tomorrow or later did by a clock that was wrong
    if config.every_days is not None and (before is None or not -DAY < now - before.at < config.every_days * DAY):
        return Cause(f"time: every {config.every_days:g} days")
    return None


def check(config: PipelineConfig, home: Home) -> None:
    """Raises ConfigError where the bank's policy would let fewer people decide than the pipeline says."""
    if home.policy.approvals < config.people:
        raise ConfigError(
            f"the pipeline {config.name} waits for {config.people} people (people), more than the bank's policy asks for"
            f" ({home.policy.approvals}, approvals)",
            remedy=f"Set approvals = {config.people} under [policy] of the bank's configuration.",
        )


def begin(config: PipelineConfig, book: RunBook, found: Cause) -> Run:
    """Enters a run. Raises PlanError or ConfigError for a plan that trains nothing, JobStateError where a run is open."""
    plan = train_plan(config)
    name = f"{config.name}-{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(4)}"
    return book.begin(name, config.name, found.why, found.alarms, plan.canonical())


def advance(place: Place, run: Run) -> Outcome:
    """Takes step after step until the run is over or has to wait. Raises what may be better the next time, as a lost line."""
    place.home.history.answer(run.alarms, run.run)  # again where this was ended before: it is entered once
    try:
        for step in Step:
            before = place.book.steps(run.run)
            if step in before and before[step].done:
                continue
            taken = place.book.start(run.run, step)
            place.book.finish(taken, take(place, run, taken, before))
            if step is Step.PEOPLE:
                place.home.approvals.forget(run.run)
    except Rest as rest:
        return Outcome(run, str(rest))
    except Stop as stop:
        return end(place.book, place.home.approvals, run, RunState.STOPPED, str(stop))
    return end(place.book, place.home.approvals, run, RunState.DONE)


def end(book: RunBook, approvals: Approvals, run: Run, state: RunState, note: str = "") -> Outcome:
    """The run is over; nobody is asked about it any more."""
    book.end(run.run, state, note)
    tidy(book, approvals)
    return Outcome(book.find(run.run) or run)


def tidy(book: RunBook, approvals: Approvals) -> None:
    """Takes out of the list of what waits for people the runs for which nobody is waited any more."""
    for held in approvals.held():
        if not held.own:
            continue
        run, people = book.find(held.job), book.steps(held.job).get(Step.PEOPLE)
        if run is None or run.state is not RunState.OPEN or (people is not None and people.done):
            approvals.forget(held.job)
