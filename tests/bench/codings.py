"""What each coding of columns gives, in plaintext on pooled rows: worlds of different shapes, and a real table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig
from common.trial.compare import pooled

CODINGS = ("linear", "auto", "bins", "woe")
SHAPES = ("linear", "log", "raw", "threshold", "saturated", "counts", "zeros", "u-shaped", "wave", "mostly noise")
_COLUMNS, _GRID = 16, 10
_COMMON = 0.6  # deviations of the factor that all columns share

Vector = npt.NDArray[np.float64]


def shaped(shape: str, rows: int, overdue: float, seed: int) -> tuple[Vector, Vector]:
    """Columns (rows, 16) and labels (rows,) whose log-odds are sums over columns of a function of that shape."""
    draw = np.random.default_rng(seed)
    z = np.sqrt(1 - _COMMON**2) * draw.normal(size=(rows, _COLUMNS)) + _COMMON * draw.normal(size=(rows, 1))
    weight, x = 0.35 * draw.normal(size=_COLUMNS), z
    effect: Vector = z
    if shape == "log":
        x = np.exp(1.2 * z)
    elif shape == "raw":
        x = np.exp(0.8 * z)
        effect = 0.7 * np.minimum(x, 7.4)
    elif shape == "threshold":
        effect = np.sign(z - 0.7 * draw.normal(size=_COLUMNS))
    elif shape == "saturated":
        effect = 1.3 * np.tanh(2 * z)
    elif shape == "counts":
        x = draw.poisson(np.exp(0.7 * z - 0.5)).astype(float)
        effect = 1.3 * np.minimum(x, 2)
    elif shape == "zeros":
        known = z + draw.normal(size=z.shape) > 0.4
        x, effect = np.where(known, np.exp(1.5 * z), 0.0), 1.5 * known + 0.75 * known * z
    elif shape == "u-shaped":
        effect = np.where(np.arange(_COLUMNS) % 2 == 0, z**2, z)
    elif shape == "wave":
        effect = 1.5 * np.sin(2 * z)
    elif shape == "mostly noise":
        weight = 2 * weight * (np.arange(_COLUMNS) < 3)
    u = effect @ weight
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if np.mean(1 / (1 + np.exp(-u - middle))) > overdue else (middle, high)
    return x, (draw.random(rows) < 1 / (1 + np.exp(-u - low))).astype(float)


def bench_codings(sizes: Sequence[tuple[int, float]], seeds: int, uci: Path | None) -> list[dict[str, Any]]:
    """For each world and coding held-out AUC and log-loss of the pooled optimum. sizes: training rows and the share overdue."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, tables in _worlds(sizes, seeds, uci):
            row: dict[str, Any] = {"world": name}
            for coding in CODINGS:
                each = [_measured(Path(folder), coding, test, *both) for test, *both in tables]
                row[coding] = {"auc": mean(auc for auc, _ in each), "logloss": mean(loss for _, loss in each)}
            found.append(row)
    return found


def _worlds(sizes: Sequence[tuple[int, float]], seeds: int, uci: Path | None) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """(name, for each seed the share held out, the grid's table, the bank's)."""
    for shape in SHAPES:
        for train, overdue in sizes:
            held = 15_000
            yield (
                f"{shape}, {train} rows, {overdue:.0%}",
                [(held / (train + held), *_split(*shaped(shape, train + held, overdue, seed))) for seed in range(seeds)],
            )
    if uci is None:
        return
    for train in (1_000, 3_000, 21_000):
        yield f"UCI, {train} rows", [(9000 / (train + 9000), *_uci(uci, train + 9000, seed)) for seed in range(seeds)]


def _split(x: Vector, y: Vector) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.DataFrame(x, columns=[f"x{k}" for k in range(_COLUMNS)]).assign(id=np.arange(len(y)).astype(str))
    grid = table[["id", *(f"x{k}" for k in range(_GRID))]]
    return grid, table[["id", *(f"x{k}" for k in range(_GRID, _COLUMNS))]].assign(y=y)


def _uci(path: Path, rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_csv(path).sample(rows, random_state=seed).reset_index(drop=True)
    table = table.rename(columns={"ID": "id", "default.payment.next.month": "y"}).astype({"id": str})
    bank = ["LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", "y"]
    return table.drop(columns=bank), table[["id", *bank]]


def _measured(folder: Path, coding: str, test: float, grid: pd.DataFrame, bank: pd.DataFrame) -> tuple[float, float]:
    for name, table in (("grid", grid), ("bank", bank)):
        table.to_parquet(folder / f"{name}.parquet")
    raw = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "split": {"test": test}, "preparation": {"coding": coding}}
    plan = TrainPlan.model_validate(raw)
    sides = [{"path": folder / "grid.parquet", "id": "id"}, {"path": folder / "bank.parquet", "id": "id", "label": "y"}]
    found = pooled(plan, *(DatasetConfig.model_validate(side) for side in sides))
    return found.auc, found.logloss
