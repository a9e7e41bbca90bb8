"""Rows scored by a model of banks alone: it is this bank's whole model, and nobody else takes part. PROTOCOL.md section 16."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bank_party.decision.bundle import load_decision
from bank_party.decision.decide import Deciding
from bank_party.decision.scores import write_scores
from bank_party.direct import Done, fresh_name
from bank_party.home import BankHome
from bank_party.own_champion import resolve
from bank_party.settings import BankSettings
from common.daemon.booked import Booked
from common.daemon.seat import Seat, open_home
from common.disk.data_folder import Name
from common.disk.scratch import Scratch
from common.errors import PlanError
from common.home.jobbook import Offered
from common.learn.learner import Half
from common.party import Party
from common.plan.read import parse_plan
from common.plan.several import SeveralPlan
from common.rows.dataset import Loaded, read_table
from common.rows.featurefile import declared, there
from common.stages.several.alone import whole_scores
from common.stages.watch import watch
from common.text.logs import set_logging


def score(seat: Seat[BankSettings, BankHome], config: Path, model: str, dataset: str, name: str = "") -> Done:
    """Scores all rows of a dataset; as after any scoring there are `scores/JOB.csv`, readings of drift, and a line in `jobs`.

    Raises PlanError for a model that is not of banks alone, or a dataset that there is not, DataError for rows that are wrong.
    """
    settings = seat.load(config)
    set_logging("WARNING", settings.log_format, settings.data)
    os.umask(0o077)  # as at the daemon
    home = open_home(seat, config)
    try:
        half = home.models.load(resolve(home, model))
        _check(half, settings, dataset)
        return _scored(settings, home, half, dataset, name)
    finally:
        home.close()


def is_alone(half: Half) -> bool:
    """Whether it is a model of banks alone."""
    plan = parse_plan(half.about["plan"], f"job {half.job}")
    return isinstance(plan, SeveralPlan) and plan.alone


def _check(half: Half, settings: BankSettings, dataset: str) -> None:
    if not is_alone(half):
        raise PlanError(
            f"the model of job {half.job} was trained with a grid, whose columns it needs", remedy="Name its --grid-dataset."
        )
    if dataset not in settings.datasets or not there(settings.datasets[dataset]):
        known = ", ".join(settings.datasets) or "none"
        raise PlanError(f"no dataset {dataset!r} with a file", remedy=f"Name one of this configuration: {known}.")


def _scored(settings: BankSettings, home: BankHome, half: Half, dataset: str, name: str) -> Done:
    job, book, rules = fresh_name(), Booked(home.jobs), load_decision(half.job, home.models.folder(half.job))
    with book.alone(Offered(job, "score", name, "this bank", dataset), home.unfinished) as counts:
        start = time.monotonic()
        loaded = _loaded(settings, half, dataset)
        table, read = loaded.table, time.monotonic()
        u = whole_scores(half, table)
        write_scores(home.scores_of(job), table, Deciding(rules, half).decide(home.decision, table, u))
        home.history.enter_scores(job, half.job, home.scores_of(job))
        watch(job, half.job, home.models.folder(half.job), home.history, home.monitor, table, u)
        counts["matched_rows"] = table.rows
    seconds = {"load": round(read - start, 3), "score": round(time.monotonic() - read, 3)}
    return Done(job, table.rows, 0, home.scores_of(job), tuple(loaded.warnings), seconds)


def _loaded(settings: BankSettings, half: Half, dataset: str) -> Loaded:
    config = declared(settings.datasets[dataset]).model_copy(update={"columns": half.source})
    scratch = Scratch(settings.data / Name.SCRATCH, settings.memory_mib << 20)
    loaded = read_table(config, name=dataset, party=Party.BANK, scratch=scratch)
    consents = settings.consents(dataset)
    return loaded if consents is None else consents.apply(loaded, scratch)
