"""Worlds of several banks for these tests, and the exact fit on the pooled rows beside which a joint model is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.features.fit import FittedPreparation
from common.home.models import ModelStore
from common.learn.trees.design import below
from common.party import Party
from common.plan.network import Network
from common.plan.several import SeveralPlan
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig
from common.rows.table import FeatureTable
from common.stats.logistic import Design, fit_design
from common.stats.measures import Metrics, evaluate
from common.trial.processes import BANK, Trial, more_bank
from tests.common.learn.network import twin
from tests.reference import sigmoid

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Files of one grid and several banks in a folder; names: of the banks' processes."""

    folder: Path
    names: tuple[str, ...]
    columns: Mapping[str, dict[str, Any]]

    @property
    def datasets(self) -> dict[str, dict[str, dict[str, Any]]]:
        found = {"grid": {"t": {"path": str(self.folder / "grid.csv"), "id": "id", "columns": self.columns["grid"]}}}
        for name in self.names:
            found[name] = {
                "t": {"path": str(self.folder / f"{name}.csv"), "id": "id", "label": "y", "columns": self.columns["bank"]}
            }
        return found

    def plan(self, **more: Any) -> SeveralPlan:
        who = [str(BANK if name == "bank" else more_bank(name)) for name in self.names]
        banks = [{"who": one, "dataset": "t"} for one in who]
        return SeveralPlan.model_validate({"grid": {"dataset": "t"}, "banks": banks, **more})


def write_world(folder: Path, grid: pd.DataFrame, banks: list[pd.DataFrame]) -> World:
    """Tables indexed by `id`, the banks' with a label `y`; all columns are taken as they are."""
    names = ("bank", *(f"bank-{k}" for k in range(2, len(banks) + 1)))
    grid.sample(frac=1, random_state=1).to_csv(folder / "grid.csv")
    for name, bank in zip(names, banks, strict=True):
        bank.to_csv(folder / f"{name}.csv")
    plain = {"transform": "none", "kind": "numeric"}
    columns = {"grid": {c: {**plain} for c in grid.columns}, "bank": {c: plain for c in banks[0].columns if c != "y"}}
    return World(folder, names, columns)


def synthetic(folder: Path, rows: tuple[int, ...], seed: int = 0, noise: int = 0) -> World:
    """Banks of different rates, units of different size, and an enterprise in ten at two banks; noise: further grid columns."""
    rng, banks, grids, first = np.random.default_rng(seed), [], [], 0
    for k, count in enumerate(rows):
        ids = [f"E{first + i:06d}" for i in range(count)]
        first += count - count // 10  # the last tenth is also the next bank's
        z = np.array([np.random.default_rng(int(i[1:]) + 10_000 * seed).standard_normal(16 + noise) for i in ids])
        grid = np.hstack([z[:, :12], z[:, 16:]])
        frame = pd.DataFrame(grid, index=pd.Index(ids, name="id"), columns=[f"g{j}" for j in range(grid.shape[1])])
        u = z[:, :7] @ [0.5, -0.4, 0.3, 0.3, -0.2, 0.2, 0.1] + z[:, 12:15] @ [0.5, 0.3, -0.3] + k - 2.0 + 0.3 * z[:, 15]
        bank = pd.DataFrame(z[:, 12:15] * [1.0, 1e6, 1e-3] + [k, 5e6, 0.0], index=frame.index, columns=["b0", "b1", "b2"])
        bank["b0"] += 0.7 * frame["g0"]
        bank["y"] = (rng.random(count) < sigmoid(u)).astype(int)
        grids.append(frame)
        banks.append(bank.sample(frac=1, random_state=k))
    every = pd.concat(grids)
    return write_world(folder, every[~every.index.duplicated()], banks)


@dataclass(frozen=True)
class Rows:
    """One bank's matched rows as they were prepared: (n, m) with the grid's columns first, labels, and which are held out."""

    x: Reals
    y: Reals
    test: npt.NDArray[np.bool_]


def held_out(trial: Trial, world: World) -> dict[str, set[str]]:
    """The enterprises that each bank of a job has held out last, as `telling_bank` writes them down."""
    found = {}
    for name in world.names:
        told = world.folder / f"held.{trial.processes[name].pid}"
        found[name] = set(told.read_text(encoding="utf-8").splitlines())
    return found


def prepared_rows(trial: Trial, world: World, job: str, held: Mapping[str, set[str]]) -> dict[str, Rows]:
    """What each bank and the grid together trained on, by the preparations that stand beside their halves of the model."""
    grid, found = _prepared(trial, world, "grid", job), {}
    for name in world.names:
        table, x = _prepared(trial, world, name, job)
        order = pd.Index(list(grid[0].ids)).get_indexer(pd.Index(list(table.ids)))
        test = np.array([i in held[name] for i in table.ids])
        there = order >= 0
        found[name] = Rows(np.column_stack([grid[1][order[there]], x[there]]), table.outcomes[there], test[there])
    return found


def exact(rows: Mapping[str, Rows], ridge: float) -> dict[str, Metrics]:
    """Each bank's held-out metrics of Newton's fit to these banks' training rows together, an intercept a bank."""
    banks = len(rows)
    design = [np.column_stack([one.x, np.tile(np.eye(banks)[k], (len(one.x), 1))]) for k, one in enumerate(rows.values())]
    parts = list(zip(design, rows.values(), strict=True))
    train = np.concatenate([x[~one.test] for x, one in parts])
    y = np.concatenate([one.y[~one.test] for _, one in parts])
    penalty = np.diag([ridge] * (train.shape[1] - banks) + [0.0] * banks)
    weights = fit_design(Design.of(train), y, penalty)
    return {name: evaluate(one.y[one.test], x[one.test] @ weights) for name, (x, one) in zip(rows, parts, strict=True)}


def network(rows: Mapping[str, Rows], section: Network, grid: int, epoch: int = -1) -> dict[str, Metrics]:
    """Each bank's held-out metrics of the same network trained in float64 on these banks' training rows together.

    grid: columns of the grid. epoch: after which one, from 1 on; default: all. Of batches the rows differ from the job's, whose
    order nobody outside it knows.
    """
    names, every = list(rows), [np.column_stack([one.x, np.ones(len(one.x))]) for one in rows.values()]
    train = np.concatenate([x[~one.test] for x, one in zip(every, rows.values(), strict=True)])
    y = np.concatenate([one.y[~one.test] for one in rows.values()])
    counts = tuple(int((~one.test).sum()) for one in rows.values())
    weights, found = twin.of_several_stopped(section, train[:, :grid], train[:, grid:], y, counts)[epoch][0], {}
    for place, (name, x) in enumerate(zip(names, every, strict=True)):
        held = x[rows[name].test]
        u = twin.scores_of(section, weights, held[:, :grid], held[:, grid:], place)
        found[name] = evaluate(rows[name].y[rows[name].test], u)
    return found


def _prepared(trial: Trial, world: World, side: str, job: str) -> tuple[FeatureTable, Reals]:
    table, fitted = _fitted(trial, world, side, job)
    return table, fitted.transform(table)


@dataclass(frozen=True)
class Indicators:
    """One bank's matched rows by the thresholds of both sides, (thresholds, n) of 0 and 1; labels; which are held out."""

    below: dict[Party, npt.NDArray[np.uint8]]
    y: Reals
    test: npt.NDArray[np.bool_]


def indicators(trial: Trial, world: World, job: str, held: Mapping[str, set[str]]) -> dict[str, Indicators]:
    """The rows of each bank as trees of this job split them."""
    sides = {"grid": _below(trial, world, "grid", job)}
    found: dict[str, Indicators] = {}
    for name in world.names:
        table, own = _below(trial, world, name, job)
        order = pd.Index(list(sides["grid"][0].ids)).get_indexer(pd.Index(list(table.ids)))
        there, test = order >= 0, np.array([i in held[name] for i in table.ids])
        cells = {Party.GRID: sides["grid"][1][:, order[there]], Party.BANK: own[:, there]}
        found[name] = Indicators(cells, table.outcomes[there], test[there])
    return found


def _below(trial: Trial, world: World, side: str, job: str) -> tuple[FeatureTable, npt.NDArray[np.uint8]]:
    table, fitted = _fitted(trial, world, side, job)
    return table, below(fitted, table)


def _fitted(trial: Trial, world: World, side: str, job: str) -> tuple[FeatureTable, FittedPreparation]:
    config = DatasetConfig.model_validate(world.datasets[side]["t"])
    party = Party.GRID if side == "grid" else Party.BANK
    table = read_table(config, name="t", party=party, require_label=party is Party.BANK).table
    return table, ModelStore(trial.folder / f"{side}-data" / "models").load(job).fitted
