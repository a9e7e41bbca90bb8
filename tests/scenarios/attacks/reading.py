"""What those who read have in common: tables made for the purpose, and what a party's folder tells it after a job."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bank_party.decision import bundle
from common.client.client import Client
from common.disk.data_folder import Name
from common.home.audit import BEHIND, AuditLog, What
from common.home.models import ModelStore
from common.learn.learner import Half
from common.learn.linear.half import ClosedModel
from common.mpc.fixedpoint import WEIGHT_SCALE, decode
from common.party import Party
from common.wire import coordinator_pb2 as wire
from tests.common.stages.plain import weights_of
from tests.scenarios.end_to_end.lab import Lab, make_plan, run

JOBS = 10
BY_CHANCE = 5e-7  # what is likelier than this is no proof that something was told
SPIKES = 6  # companies that are looked for in each job
Reals = npt.NDArray[np.float64]

# What an attacker's own policy allows itself: only the other side's floors are in its way.
NO_FLOORS: dict[str, Any] = {
    "largest_leverage": 1.0, "min_binary": 0, "min_iterations": 1, "min_batch": 1, "largest_step": 16.0, "smallest_ridge": 0.0,
    "largest_clip": 1e9, "min_bin_rows": 1, "own_weights": True, "owned_weights": True,
    "finest_weight_bits": 20,
}  # fmt: skip


def spiked(frame: pd.DataFrame, targets: list[str], height: float = 1.0) -> pd.DataFrame:
    """`frame` with a column for each target, which is noise but for that company's row."""
    draw, out = np.random.default_rng(7), frame.copy()
    for k, target in enumerate(targets):
        out[f"s{k}"] = 1e-7 * draw.standard_normal(len(frame)) + height * (frame["id"] == target)
    return out


def targets_of(job: int, ids: list[str], count: int = SPIKES) -> list[str]:
    """Other companies in each job."""
    return ids[count * job : count * (job + 1)]


def halves_of(lab: Lab, job: str) -> dict[Party, Half]:
    """Both halves of a model, as nobody has them."""
    return {party: ModelStore(lab.data(party.value) / "models").load(job) for party in Party}


def held_out(lab: Lab, job: str) -> set[str]:
    """The companies that a training held out: a spike of one of these is noise."""
    return set(bundle.load(job, lab.data("bank") / "models" / job).ids)


def guesses(half: Half) -> dict[str, float]:
    """What the holder of this half has in place of each weight: its share of it, or the weight where it was opened."""
    assert isinstance(half, ClosedModel) and half.coefficients is None
    return dict(zip(half.columns, (half.whiten @ decode(half.own, WEIGHT_SCALE)).tolist(), strict=True))


def weights(halves: dict[Party, Half], party: Party) -> dict[str, float]:
    """The weights themselves."""
    return dict(zip(halves[party].columns, weights_of(halves, party).tolist(), strict=True))


def told_apart(label: list[float], value: list[float]) -> float:
    """The chance that values which have nothing to do with the labels rank them as well, or as badly (Mann-Whitney)."""
    y, values = np.array(label), np.array(value)
    return float(stats.mannwhitneyu(values[y == 1], values[y == 0]).pvalue)


def told_beyond(true: list[float], value: list[float], known: list[list[float]]) -> float:
    """The chance that a value which has nothing to do with the true ones adds as much to what is known of them (F-test)."""
    y, x = np.array(true), np.column_stack([np.ones(len(true)), np.array(known)])
    wider = np.column_stack([x, np.array(value) / np.abs(value).max()])
    before, after = (float(np.sum((y - of @ np.linalg.lstsq(of, y, rcond=None)[0]) ** 2)) for of in (x, wider))
    left = len(y) - wider.shape[1]
    return float(stats.f.sf((before - after) / (after / left), 1, left))


def forget(lab: Lab) -> None:
    """Empties the grid's ledger, as a grid that attacks may: the book protects its own columns."""
    with closing(sqlite3.connect(lab.data("grid") / Name.LEDGER, timeout=30.0)) as book, book:
        book.executescript("delete from leaves; delete from owners")
    AuditLog(lab.data("grid") / Name.AUDIT).add(What.OVERRIDE, rule=BEHIND, note="emptied on purpose")


def train(client: Client, job: int, **fields: Any) -> wire.Job:
    """A job on the table `rows`; each holds out other rows, so that no row's budget of scores ends the attack."""
    return run(client, make_plan("rows", split={"seed": job}, **fields))
