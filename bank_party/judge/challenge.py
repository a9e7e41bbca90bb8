"""A model beside the champion, at the bank: on the same held-out rows of its training, or on rows both held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from bank_party.decision import bundle
from bank_party.decision.bundle import HeldOut
from bank_party.judge.steps import steps_of
from common.config import StrictModel
from common.disk.files import make_folder, write_private
from common.errors import DataError, JobNotFound
from common.home.models import ModelStore
from common.home.outcome import Challenge, Steps
from common.mpc.fixedpoint import Reals
from common.rows.table import FeatureTable, Ids
from common.stats import measures
from common.stats.metrics import Interval

FILE = "challenge.json"
LEAST = 20  # rows of each class, whatever a policy says
MARGIN = 0.001  # of AUC: the same training twice differs by less, now and then significantly


class _Stored(StrictModel):
    champion: str
    auc: float
    champion_auc: float
    auc_difference: dict[str, float]
    rows: int
    steps: dict[str, float] = Field(default={"rank": 0.01, "mean": 0.01})  # of what was stored before there were any


def compare(champion: str, label: Reals, u: Reals, champion_u: Reals) -> Challenge:
    """The comparison on held-out rows, each argument (n,): labels, log-odds of the model and of the champion."""
    return Challenge(
        champion,
        measures.auc(label, u),
        measures.auc(label, champion_u),
        measures.delong(label, u, champion_u),
        len(label),
        steps_of(label, u),
    )


def worse(found: Challenge | None, candidate: str) -> str | None:
    """With its numbers, how a candidate is worse than the champion, significantly and by more than the margin; else None."""
    if found is None or found.auc_difference.high >= 0 or found.auc_difference.difference >= -MARGIN:
        return None
    low, high = found.auc_difference.low, found.auc_difference.high
    return (
        f"{candidate} is worse than the champion {found.champion}: AUC {found.auc:.4f} against {found.champion_auc:.4f}"
        f" on {found.rows} held-out rows, 95 % interval {low:+.4f} to {high:+.4f}"
    )


def save(found: Challenge, folder: Path) -> None:
    make_folder(folder)
    write_private(folder / FILE, _Stored.model_validate(asdict(found)).model_dump_json().encode())


Floor = Callable[[FeatureTable], int]
"""How many labels of each class these rows must have, by id and month."""


def _least(rows: FeatureTable) -> int:
    return LEAST


@dataclass(frozen=True, repr=False)
class Measured:
    """A comparison, None where the rows are too few, and the rows it is of, by id and month."""

    found: Challenge | None
    rows: FeatureTable


def measured(store: ModelStore, job: str, champion: str, floor: Floor = _least) -> Measured:
    """The comparison that the training of `job` made with this champion, or that of rows held out by both.

    None if these are fewer than the floor, or 20, of either class; the training had floors of its own.
    """
    try:
        raw = _Stored.model_validate_json((store.folder(job) / FILE).read_bytes())
        if raw.champion == champion:
            difference, steps = Interval(**raw.auc_difference), Steps(**raw.steps)
            found = Challenge(raw.champion, raw.auc, raw.champion_auc, difference, raw.rows, steps)
            held = bundle.load(job, store.folder(job))
            return Measured(found, FeatureTable(held.ids, held.periods, {}, {}))
    except FileNotFoundError:
        pass
    except ValueError:
        message = f"the stored comparison of job {job} is damaged"
        raise DataError(message, public=message, remedy="Restore it from a back-up, or train again.") from None
    try:
        mine, theirs = bundle.load(job, store.folder(job)), bundle.load(champion, store.folder(champion))
    except JobNotFound:
        return Measured(None, FeatureTable(Ids.of([]), None, {}, {}))
    return on_common_rows(champion, mine, theirs, floor)


def on_common_rows(champion: str, mine: HeldOut, theirs: HeldOut, floor: Floor = _least) -> Measured:
    """On rows that both trainings held out with the same label; none if fewer than the floor, or 20, are of either class."""
    rows = pd.merge(_frame(mine), _frame(theirs), on=["id", "period", "label"], suffixes=("", "_champion"))
    label = rows["label"].to_numpy(np.float64)
    periods = None if mine.periods is None else rows["period"].to_numpy(np.int32)
    keys = FeatureTable(Ids.of(rows["id"].tolist()), periods, {}, {})
    if min(label.sum(), (1 - label).sum()) < max(LEAST, floor(keys)):
        return Measured(None, keys)
    return Measured(compare(champion, label, rows["u"].to_numpy(np.float64), rows["u_champion"].to_numpy(np.float64)), keys)


def _frame(held: HeldOut) -> pd.DataFrame:
    periods = np.zeros(len(held.ids), np.int32) if held.periods is None else held.periods
    return pd.DataFrame({"id": held.ids.tolist(), "period": periods, "label": held.label, "u": held.u_joint})
