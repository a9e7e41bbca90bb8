"""`bank-party refill`: deals stocks for scores on request until so many wait as `[online.refill]` says; a timer runs it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

from bank_party.home import BankHome
from bank_party.online.config import OnlineConfig, RefillConfig
from bank_party.online.stocks import stocks_waiting
from bank_party.settings import BankSettings
from common.client.client import Client, failure
from common.client.like import scores_like
from common.daemon.seat import Seat, open_home
from common.errors import ConfigError, JobStateError
from common.home.models import CHAMPION
from common.party import Identity
from common.plan.job_states import State
from common.plan.read import AnyPlan
from common.text.visible import visible
from common.wire import coordinator_pb2 as wire
from common.wire.tls import Credentials

_LOOK = 100  # jobs that deal, the newest


def name_of(bank: Identity) -> str:
    """The name of its jobs, by which they are known again: each bank's by itself, as a client may see jobs of all."""
    return f"refill of stocks of {bank.org}"


class Jobs(Protocol):
    """What a refill asks of the coordinator: `common.client.client.Client`."""

    def submit(self, plan: AnyPlan, submission: str = "") -> wire.Job: ...

    def show(self, job: str) -> wire.Job: ...

    def watch(self, job: str) -> Generator[wire.Job]: ...

    def jobs(self, *, last: int = 0, kind: str = "") -> list[wire.Job]: ...


@dataclass(frozen=True)
class Refilled:
    """dealt: stocks, now; waiting: the rows of those that wait. late: the window has closed before there were enough."""

    dealt: int
    waiting: list[int]
    late: bool = False


def refill(
    home: BankHome, config: OnlineConfig, found: RefillConfig, jobs: Jobs, may: Callable[[], bool], own: Identity
) -> Refilled:
    """Deals the bank `own` one stock after the other until there are enough. may: whether one may be begun now.

    A job of an earlier call that is not over is waited for first: it may be the one that is missing. One whose request is still
    on its way is got by the same request again, see `_submission`. Stocks are of who is champion by then, also where that
    changes meanwhile. Raises ConfigError where there is no model, what a job failed of, and JobStateError for one that waits
    for people or leaves no stock here.
    """
    _model(home, config)
    last = ""
    for job in _earlier(jobs, name_of(own)):
        last = job.id
        if not State(job.state).final:
            _followed(jobs, last)
    least, dealt = max(config.stock_rows, found.rows), 0
    while True:
        model = _model(home, config)
        waiting = stocks_waiting(home, model, least, found.reasons)
        if waiting is None or len(waiting) >= found.stocks:
            return Refilled(dealt, waiting or [])
        if not may():
            return Refilled(dealt, waiting, late=True)
        plan = scores_like(jobs.show(model), found.rows, name_of(own), own, found.reasons)
        last = jobs.submit(plan, _submission(last, plan)).id
        _followed(jobs, last)
        dealt += 1
        if dealt > 2 * found.stocks:
            message = f"{dealt} stocks were dealt, of which {len(waiting)} are here"
            raise JobStateError(message, remedy="See what else takes them, then try again.")


def _model(home: BankHome, config: OnlineConfig) -> str:
    model = home.registry.champion if config.model == CHAMPION else config.model
    if model is None:
        raise ConfigError("no model is champion", remedy="Promote one: `wattscore promote JOB`.")
    return model


def _earlier(jobs: Jobs, name: str) -> list[wire.Job]:
    """Jobs of earlier refills, oldest first: among the newest that deal, or where none of these is one, among all.

    Without the last of them the next request would be the first refill's again, which made its job long ago. After another
    bank's the next would be a new one, and what a call that was killed has asked for a stock too many.
    """
    listed = (jobs.jobs(last=most, kind="predeal") for most in (_LOOK, 0))
    return next((found for part in listed if (found := [job for job in part if job.name == name])), [])


def _submission(before: str, plan: AnyPlan) -> str:
    """The id of the request that follows on the job `before`, the last of a refill that the coordinator knows.

    A call that was killed has left one request at most that the coordinator may not know yet: it asked for the same after the
    same job. Whoever comes first makes the job, and the other gets it. 64 hexadecimal digits.
    """
    return hashlib.sha256(f"refill\n{before}\n{plan.canonical()}".encode()).hexdigest()


def _followed(jobs: Jobs, name: str) -> None:
    last = None
    with closing(jobs.watch(name)) as updates:
        for last in updates:
            if State(last.state).rests:
                break
    if last is None or State(last.state) is State.HELD:
        raise JobStateError(f"job {name} waits for people of a party", remedy="Take predeal out of `hold`, or approve it.")
    if (error := failure(last)) is not None:
        raise error


def refill_command(seat: Seat[BankSettings, BankHome]) -> click.Command:
    @click.command()
    @click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
    @click.option("--now", is_flag=True, help="Whatever the hour.")
    def refill(config: Path, now: bool) -> None:
        """Deal stocks for scores on request until as many wait as [online.refill] says.

        One after the other; outside the hours of `between` none is begun.
        """
        settings = seat.load(config)
        online = settings.online
        if online is None or online.refill is None:
            raise ConfigError(f"{config}: there is no [online.refill]", remedy="Say there how many stocks, of how many rows.")
        own = Credentials.load(settings.tls).identity
        click.echo(visible(_run(open_home(seat, config), online, online.refill, now, own)))

    return refill


def _run(home: BankHome, online: OnlineConfig, found: RefillConfig, now: bool, own: Identity) -> str:
    def may() -> bool:
        moment = time.localtime()
        return now or found.open_at(moment.tm_hour, moment.tm_min)

    with Client.from_config(found.client) as client:
        done = refill(home, online, found, client, may, own)
    late = f"; not begun outside {found.between}" if done.late else ""
    return f"{done.dealt} stocks dealt; {sum(done.waiting):,} rows wait in {len(done.waiting)}, of {found.stocks} wanted{late}"
