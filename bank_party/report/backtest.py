"""Back-test over several origins: trainings of one plan as of different months, each measured on the months that followed.

From the bank's own folder: earlier trainings whose plan differs from the report's in `until` and names alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bank_party.decision import bundle
from bank_party.decision.bundle import HeldOut
from bank_party.report.bootstrap import Band, bootstrap
from bank_party.report.parts import FEW
from common.disk.data_folder import Name
from common.errors import WattScoreError
from common.home.models import is_job_name
from common.home.record import Record, load_record
from common.plan.read import parse_plan
from common.plan.train import TrainPlan
from common.report.evidence import Evidence
from common.stats.few import LEAST
from common.stats.measures import auc, sigmoid
from common.stats.proportion import error_of, interval

MOST = 24  # origins, the newest
_OTHER = {"until", "name", "purpose", "challenge", "dealt", "disclosures"}  # keys in which plans of one back-test may differ


@dataclass(frozen=True)
class Origin:
    """One training, as of a month: what it is worth on the months after it. Months count from year 0.

    Intervals are 95 %, by enterprises. joint to gain_band: None of too few rows of a class; observed and band: of fewer than
    5. expected: by the model as trained, and so without any look at the months tested; fitted: calibrated on some of their
    rows, with its error on the others. slope: of that calibration; above 1 the model is too cautious, below too bold.
    """

    job: str
    as_of: int
    first: int
    last: int
    train_rows: int
    rows: int
    joint: float | None
    joint_band: Band | None
    alone: float | None
    gain: float | None
    gain_band: Band | None
    observed: float | None
    band: tuple[float, float] | None
    expected: float
    fitted: float
    error: float
    slope: float | None

    @property
    def off(self) -> float | None:
        """How far the observed rate is from the one expected as trained, in standard errors; None where it is hidden."""
        if self.observed is None or self.band is None or self.band[1] <= self.band[0]:
            return None
        return (self.observed - self.expected) / error_of(*self.band)


def find_origins(data: Path, evidence: Evidence, held: HeldOut) -> tuple[Origin, ...]:
    """The report's own training and those before it of the same plan, by month; () unless there are two at least.

    Later trainings are left out, so that a report can be made anew. What cannot be read is passed over: each training has a
    report of its own that says so.
    """
    if not isinstance(evidence.plan, TrainPlan) or evidence.plan.split.by != "time":
        return ()
    own = _measure(evidence.record, held)
    if own is None:
        return ()
    found = {}
    for record, rows in _earlier(data / Name.MODELS, evidence):
        if (origin := _measure(record, rows)) is not None:
            found[origin.as_of] = origin  # of two as of one month the later
    found[own.as_of] = own
    return tuple(found[month] for month in sorted(found))[-MOST:] if len(found) > 1 else ()


def _earlier(models: Path, evidence: Evidence) -> Iterator[tuple[Record, HeldOut]]:
    """In the order in which they ended."""
    want, own, records = _alike(evidence.plan), (evidence.record.finished, evidence.record.job), []
    for folder in models.iterdir() if models.is_dir() else ():
        if folder.name == evidence.model.job or not is_job_name(folder.name) or not (folder / bundle.RULES).exists():
            continue
        try:
            plan = parse_plan(json.loads((folder / "model.json").read_bytes())["about"]["plan"], folder.name)
            record = load_record(folder.name, folder)
        except (OSError, ValueError, KeyError, TypeError, WattScoreError):
            continue
        if isinstance(plan, TrainPlan) and _alike(plan) == want and (record.finished, record.job) < own:
            records.append(record)
    for record in sorted(records, key=lambda one: (one.finished, one.job)):
        try:
            yield record, bundle.load(record.job, models / record.job)
        except WattScoreError:
            continue


def _alike(plan: TrainPlan) -> str:
    return plan.model_dump_json(exclude=_OTHER)


def _measure(record: Record, held: HeldOut) -> Origin | None:
    """None where months do not follow one another: not of a training as of a month."""
    train = [m.period for m in record.months if m.period is not None and m.train]
    test = [m.period for m in record.months if m.period is not None and m.held]
    if not train or not test or max(train) >= min(test):
        return None
    y, u, v = held.label, held.u_joint, held.u_bank
    who = np.asarray(pd.factorize(held.ids.codes)[0], np.intp)
    fewer = min(y.sum(), len(y) - y.sum())
    bands = bootstrap(y, u, v, who) if fewer >= FEW else None
    rules = held.decision
    return Origin(
        job=record.job,
        as_of=max(train),
        first=min(test),
        last=max(test),
        train_rows=record.counts["train_rows"],
        rows=len(y),
        joint=auc(y, u) if bands else None,
        joint_band=bands.joint["auc"] if bands else None,
        alone=auc(y, v) if bands else None,
        gain=auc(y, u) - auc(y, v) if bands else None,
        gain_band=bands.difference["auc"] if bands else None,
        observed=float(y.mean()) if fewer >= LEAST else None,
        band=interval(y, who) if fewer >= LEAST else None,
        expected=float(sigmoid(u).mean()),
        fitted=float(rules.calibration.probability(u).mean()),
        error=rules.error_after,
        slope=rules.calibration.slope if rules.calibration.method == "platt" else None,
    )
