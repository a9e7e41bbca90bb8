"""A bank's own champion among its models of banks alone, each of which is whole there. PROTOCOL.md section 16."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from bank_party.home import BankHome
from bank_party.judge import challenge
from bank_party.settings import BankSettings
from common.daemon.booked import Booked
from common.daemon.seat import Seat, open_home
from common.errors import DataError, PlanError, PolicyError
from common.home.audit import What
from common.home.home import Home
from common.home.jobbook import Offered
from common.home.models import CHAMPION
from common.home.outcome import Challenge
from common.home.registry import Registry
from common.plan.promote import PromotePlan
from common.plan.read import parse_plan
from common.plan.several import ALONE, SeveralPlan


@dataclass(frozen=True)
class Moved:
    """A move that was made; challenge: beside the champion before, where rows were held out by both."""

    job: str
    champion: str
    before: str | None
    challenge: Challenge | None


def registry_of(home: Home) -> Registry:
    """The moves of this bank's models of banks alone, of which the grid has none."""
    return home.registry.of(ALONE)


def resolve(home: Home, model: str) -> str:
    """The job that a model's name is. Raises PolicyError where it is the champion, and there is none."""
    if model != CHAMPION:
        return model
    if (found := registry_of(home).champion) is None:
        raise PolicyError("no model of banks alone is the champion here yet", remedy="Promote one: bank-party promote JOB.")
    return found


def move(seat: Seat[BankSettings, BankHome], config: Path, plan: PromotePlan) -> Moved:
    """Makes a model of banks alone this bank's champion, or the one before again. No message is sent.

    Raises PlanError for a model that was trained with a grid, PolicyError for one that is significantly worse.
    """
    os.umask(0o077)  # as at the daemon
    home = open_home(seat, config)
    try:
        job = f"{plan.action}-{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(4)}"
        with Booked(home.jobs).alone(Offered(job, plan.kind, plan.name, "this bank"), home.unfinished):
            return _move(home, plan, job)
    finally:
        home.close()


def _move(home: BankHome, plan: PromotePlan, job: str) -> Moved:
    registry = registry_of(home)
    if plan.model is not None:
        _check(home, plan.model)
    version, before = registry.version(registry.target(plan)), registry.champion
    if home.models.digest(version.job) != version.digest:
        text = f"the stored model of job {version.job} is not the one that was trained"
        raise DataError(text, public=text, remedy="Restore it from a back-up, or train again.")
    rival = None
    if plan.action == "promote" and before not in (None, version.job):
        rival = challenge.measured(home.models, version.job, str(before)).found
        _check_worse(rival, version.job, force=plan.force)
    made = registry.prepare(job, plan, version.job, anew=False)
    home.audit.add(What.PROMOTE, job, champion=version.job, position=made.position.hex())
    registry.commit()
    return Moved(job, version.job, before, rival)


def _check(home: BankHome, model: str) -> None:
    half = home.models.load(home.registry.version(model).job)
    plan = parse_plan(half.about["plan"], f"job {model}")
    if not (isinstance(plan, SeveralPlan) and plan.alone):
        raise PlanError(
            f"the model of job {model} was trained with a grid, which agrees on its champion",
            remedy=f"Ask both for it: wattscore promote {model}.",
        )


def _check_worse(found: Challenge | None, model: str, *, force: bool) -> None:
    if (how := challenge.worse(found, model)) is not None and not force:
        raise PolicyError(how, remedy="Promote another, or this one with --force.")
