"""Several banks through real daemons on UCI's table, beside the exact pooled fit and the grid with a bank's own rows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import pandas as pd
from scipy.stats import t

from common.client.client import failure
from common.home.models import ModelStore
from common.home.outcome import parse_evaluation
from common.plan.linear import Model
from common.plan.network import Network
from common.stats.measures import Metrics
from common.trial import processes
from common.trial.processes import Trial
from tests.scenarios.end_to_end.several import Rows, World, exact, held_out, network, prepared_rows, write_world
from tests.scenarios.end_to_end.test_uci import SOURCE, split_by_company

SKEWS = ("iid", "label", "covariate", "both")
LOOSE: dict[str, Any] = {"min_matched": 100, "min_rows": 100, "rows_per_column": 5, "rows_per_day": 10**8}
BANK: dict[str, Any] = {**LOOSE, "label_bits": 1.0, "metric_bits": 100.0, "min_per_class": 20, "min_test_per_class": 20}
BANK["coalition_rows"] = 0.0
RIDGE, STEPS = 1e-4, 15


def draw(raw: pd.DataFrame, banks: int, rows: int, skew: str, seed: int) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Places of each bank's rows, no row at two.

    label: rates from 10 to 40 %; covariate: most of a bank's rows from its own part of the credit limits.
    """
    rng, free = np.random.default_rng(seed), np.ones(len(raw))
    y, limit = raw["default.payment.next.month"].to_numpy(), raw["LIMIT_BAL"].to_numpy()
    part = np.searchsorted(np.quantile(limit, np.linspace(0, 1, banks + 1)[1:-1]), limit)
    found = []
    for k, rate in enumerate(np.linspace(0.10, 0.40, banks)):
        weight = free.copy()
        if skew in ("covariate", "both"):
            weight *= np.where(part == k, 4.0 * (banks - 1), 1.0)
        if skew in ("label", "both"):
            weight *= np.where(y == 1, rate / y.mean(), (1 - rate) / (1 - y.mean()))
        found.append(np.sort(rng.choice(len(raw), rows, replace=False, p=weight / weight.sum())))
        free[found[-1]] = 0.0
    return found


def make_world(folder: Path, banks: int, rows: int, skew: str, seed: int) -> World:
    raw = pd.read_csv(SOURCE).sort_values("ID").reset_index(drop=True)
    grid, bank = (table.set_index("id").sort_index() for table in split_by_company(raw))
    places = draw(raw, banks, rows, skew, seed)
    return write_world(folder, grid.iloc[np.concatenate(places)], [bank.iloc[at] for at in places])


def bench_banks(
    banks: int, rows: int, skew: str, test: float = 0.5, seed: int = 1, model: Literal["linear", "network"] = "linear"
) -> dict[str, Any]:
    """Means over banks of held-out AUC and log-loss: the joint model, the pooled twin, the grid with a bank's own rows.

    The twin of a linear model is the exact fit, that of a network the same training in float64, of batches of other rows.
    """
    section = Network() if model == "network" else Model(iterations=STEPS, ridge=RIDGE)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        world = make_world(folder, banks, rows, skew, seed)
        settings: dict[str, Any] = {name: {"policy": BANK} for name in world.names} | {"grid": {"policy": LOOSE}}
        limits = {"min_matched": 100, "min_rows": 100, "rows_per_column": 5}
        plan = world.plan(split={"test": test}, model=section, limits=limits,
                          preparation={"coding": "linear"})  # fmt: skip
        module = {"bank": "tests.scenarios.end_to_end.telling_bank"}
        with (
            mock.patch.dict(processes._MODULES, module),
            mock.patch.dict(os.environ, {"HELD_OUT": str(folder / "held")}),
            Trial(folder, world.datasets, settings) as trial,
        ):
            with trial.client() as client:
                *_, job = client.watch(client.submit(plan).id)
            if (error := failure(job)) is not None:
                raise error
            held = held_out(trial, world)
        rows_of = prepared_rows(trial, world, job.id, held)
        columns = len(ModelStore(folder / "grid-data" / "models").load(job.id).columns)

        def twin(rows: Mapping[str, Rows]) -> dict[str, Metrics]:
            return exact(rows, RIDGE) if isinstance(section, Model) else network(rows, section, columns)

        pooled, own = twin(rows_of), {}
        for name in world.names:
            own |= twin({name: rows_of[name]})
        found = {
            name: parse_evaluation((folder / f"{name}-data" / "models" / job.id / "evaluation.json").read_bytes()).joint
            for name in world.names
        }
    seconds = {s.stage: s.seconds for s in job.grid.report.seconds}
    sent = [bank.report.peer.sent for bank in job.banks]
    return {
        "banks": banks, "trained": [bank.report.counts.train_rows for bank in job.banks], "skew": skew,
        **_means("joint", found), **_means("pooled", pooled), **_means("own_rows", own), "seconds": seconds,
        "bytes": {"bank_to_grid": sent, "dealt": [link.sent for link in job.dealer.banks]},
        "worst": max(abs(found[n].auc - pooled[n].auc) for n in found),
    }  # fmt: skip


def _means(of: str, found: Mapping[str, Any]) -> dict[str, float]:
    return {f"{of}_{name}": float(np.mean([getattr(one, name) for one in found.values()])) for name in ("auc", "logloss")}


def worth(draws: Sequence[Mapping[str, Any]]) -> str:
    """AUC and log-loss gained above the grid and a bank's own rows: the mean of several draws, and its 95 % interval."""
    said = [f"{len(draws)} draws"]
    for of, name in (("AUC", "auc"), ("log-loss", "logloss")):
        gain = np.array([one[f"joint_{name}"] - one[f"own_rows_{name}"] for one in draws])
        mean, half = float(gain.mean()), float(t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain)))
        said.append(f"{of} {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})")
    return ", ".join(said)


def line(found: Mapping[str, Any]) -> str:
    """A row of the page's table."""
    d_auc, d_loss = found["joint_auc"] - found["pooled_auc"], found["joint_logloss"] - found["pooled_logloss"]
    gain = found["joint_auc"] - found["own_rows_auc"]
    return (
        f"| {found['banks']} x {round(float(np.mean(found['trained'])))} | {found['skew']} | {found['joint_auc']:.4f} |"
        f" {d_auc:+.4f} ({found['worst']:.4f}) | {d_loss:+.5f} | {gain:+.4f} | {found['seconds']['train']:.1f} |"
    )
