"""The bank's jobs of its own, asked of the grid's daemon without the coordinator: scores, and stocks that both make.

They run in a process of their own, beside the bank's daemon or without it, and use the same books. PROTOCOL.md section 10.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bank_party.home import BankHome
from bank_party.settings import BankSettings
from common.config import validate
from common.daemon.answers import Answers
from common.daemon.killed import end_killed
from common.daemon.runner import Runner
from common.daemon.seat import Seat
from common.daemon.settings import check_separate
from common.errors import JobCancelled, JobNotFound, PlanError
from common.home.models import CHAMPION
from common.learn.learners import scored_undealt, tells_on_request
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.score import ScorePlan
from common.stages.desk import Desk
from common.text.logs import set_logging
from common.wire.tls import Credentials

T = TypeVar("T")

_JOBS = "common.stages.job"  # logs what a job warns of


@dataclass(frozen=True)
class Done:
    """A scoring job that is over: rows it scored, bytes to and from the grid, the file of scores, what was warned of.

    seconds: of each stage, at the bank.
    """

    job: str
    rows: int
    bytes: int
    file: Path
    warnings: tuple[str, ...]
    seconds: dict[str, float]


def make_plan(
    model: str,
    grid: str,
    bank: str,
    *,
    by_period: bool,
    grid_reasons: int,
    on_request: int,
    name: str,
    purpose: str = "",
    months: str | None = None,
    own: Identity | None = None,
) -> ScorePlan:
    """A plan that does without the coordinator. own: of which bank, where that is known.

    Raises PlanError for options that make none.
    """
    raw = {
        "name": name,
        "purpose": purpose,
        "model": model,
        "grid": {"dataset": grid},
        "bank": {"dataset": bank},
        "keys": ("id", "period") if by_period else ("id",),
        "months": months.split(",") if months else (),
        "grid_reasons": grid_reasons,
        "on_request": on_request,
        "drift": False,  # nobody hears a report
        "dealt": "ahead",
        "matching": "ecdh",
        "with_bank": None if own is None else str(own),
    }
    return validate(ScorePlan, raw, "options", PlanError)


def suited(plan: ScorePlan, home: BankHome) -> ScorePlan:
    """The plan as the model that it names is scored: with a stock, or, where nobody dealt for its training, without one.

    On request without reasons of the grid where a model of its kind tells none: a promotion would else end the service.
    """
    job = home.registry.champion if plan.model == CHAMPION else plan.model
    try:
        model = home.models.load(job) if job is not None else None
    except JobNotFound:  # as the job will say when it loads it
        return plan
    how: dict[str, Any] = {}
    if model is not None and plan.on_request and plan.grid_reasons and not tells_on_request(model):
        how |= {"grid_reasons": 0, "disclosures": None}
    if model is not None and scored_undealt(model):
        how |= {"dealer": "none", "dealt": "online"}
    return validate(ScorePlan, {**plan.model_dump(), **how}, "options", PlanError) if how else plan


def fresh_name(kind: str = "score") -> str:
    """A name that no job has had."""
    return f"{kind}-{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(4)}"


async def run(seat: Seat[BankSettings, BankHome], config: Path, plan: ScorePlan, desk: Desk | None = None) -> Done:
    """Runs a job of this plan, as this bank's, with the grid's daemon; cancelled, or at SIGTERM, it ends the job at both sides.

    desk: what rows are asked at, of a plan that scores on request.

    Raises what the job is refused for, or fails of, at whichever side.
    """
    return await _run(seat, config, plan, _done, desk)


async def make_stock(seat: Seat[BankSettings, BankHome], config: Path, plan: PredealPlan) -> str:
    """Makes a stock with the grid's daemon, for a training that nobody deals for; the job's name, which is the stock's too.

    Raises as `run`.
    """
    return await _run(seat, config, plan, lambda job, answers, *_: answers.check() or job)


async def _run(
    seat: Seat[BankSettings, BankHome],
    config: Path,
    plan: ScorePlan | PredealPlan,
    told: Callable[[str, Answers, BankHome, _Warned], T],
    desk: Desk | None = None,
) -> T:
    settings = seat.load(config)
    set_logging("WARNING", settings.log_format, settings.data)
    os.umask(0o077)  # as at the daemon
    credentials = Credentials.load(settings.tls)
    check_separate(credentials.identity, settings)
    logging.getLogger(_JOBS).addFilter(warned := _Warned())
    home, way = seat.home(settings), seat.approach(settings, credentials)
    home.tidy()  # a command before may have been killed, and the daemon run for months
    end_killed(home)
    runner = Runner(seat.role(home), settings, home, way.meeting, None, own=credentials.identity)
    job, fitting = fresh_name(plan.kind), suited(plan, home) if isinstance(plan, ScorePlan) else plan
    asked = fitting.model_copy(update={"with_bank": str(credentials.identity)}).canonical()
    try:
        with _ended_by(signal.SIGTERM):
            task, answers = await runner.begin(job, asked, credentials.identity, own=True, desk=desk)
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                await runner.stop_all(JobCancelled("the command that asked for it was ended"))
                raise
        return told(job, answers, home, warned)
    finally:
        logging.getLogger(_JOBS).removeFilter(warned)
        home.close()
        for connection in way.connections:
            await connection.close()


class _Warned(logging.Filter):
    """What the bank is warned of, whole, for its own terminal: others and logs hear only that there is something in its log."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.__dict__.pop("public", None) is not None and isinstance(record.args, tuple):
            self.texts.append(str(record.args[-1]))
        return True


def _done(job: str, answers: Answers, home: BankHome, warned: _Warned) -> Done:
    answers.check()
    report = answers.report
    assert report is not None  # noqa: S101
    line = report.peer.sent + report.peer.received
    seconds = {entry.stage: round(entry.seconds, 3) for entry in report.seconds}
    return Done(job, report.counts.matched_rows, line, home.scores_of(job), tuple(warned.texts), seconds)


@contextmanager
def _ended_by(number: signal.Signals) -> Iterator[None]:
    """The running task is cancelled at this signal, as asyncio does it at Ctrl-C."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101
    loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
