"""The same rows in one process, in plaintext: what every figure is compared with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from common.learn.linear.design import prepare
from common.party import Party
from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig, read_table
from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable
from common.stages import split
from common.stats.measures import evaluate

EPOCHS, BATCH, RATE = 5, 1024, 0.1


@dataclass(frozen=True)
class Pooled:
    """Standardised columns of the rows of the secure job, the grid's columns first, training rows first."""

    x: np.ndarray
    y: np.ndarray
    train: int
    grid: int

    def save(self, path: Path) -> None:
        """The training rows, each side's columns by themselves."""
        x, y = self.x[: self.train], self.y[: self.train]
        np.savez(path, grid=x[:, : self.grid], bank=x[:, self.grid :], label=y)

    def quality(self, weights: np.ndarray) -> dict[str, float]:
        """AUC and log-loss of held-out rows; the intercept comes last."""
        return self._quality(self.x[self.train :] @ weights[:-1] + weights[-1])

    def quality_of_units(self, inner: np.ndarray, outer: np.ndarray) -> dict[str, float]:
        """The same of a hidden layer of ReLU; inner: (columns + 1, units), outer: (units + 1,)."""
        hidden = np.maximum(self.x[self.train :] @ inner[:-1] + inner[-1], 0.0)
        return self._quality(hidden @ outer[:-1] + outer[-1])

    def _quality(self, u: np.ndarray) -> dict[str, float]:
        found = evaluate(self.y[self.train :], u)
        return {"auc": found.auc, "logloss": found.logloss}


def pool(plan: TrainPlan, datasets: Mapping[str, dict[str, Any]]) -> Pooled:
    """Both tables joined, split and prepared as the secure job does it."""
    tables = {
        p: read_table(DatasetConfig(**datasets[p.value]), name="t", party=p, require_label=p is Party.BANK) for p in Party
    }
    order = {p: _order(tables[p].table) for p in Party}
    hashes = [hash_rows(tables[p].table.keys(order[p]), b"pool") for p in Party]
    if not np.array_equal(*hashes):
        raise ValueError("the two tables hold different rows")
    labelled = tables[Party.BANK].table.take(order[Party.BANK])
    test = split.draw(labelled, plan.split)
    rows = np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)])
    train = int((~test).sum())
    ridge, total = plan.model.ridge, len(rows)
    own, other = (
        prepare(tables[p].table.take(order[p][rows]), tables[p].columns, plan.preparation, train, ridge, p)[0].matrix(0, total)
        for p in (Party.GRID, Party.BANK)
    )
    x = np.ascontiguousarray(np.column_stack([own, other[:, :-1]]))
    return Pooled(x, np.asarray(labelled.label)[rows], train, own.shape[1])


def _order(table: FeatureTable) -> np.ndarray:
    """Rows by id, then month."""
    levels = np.array(table.ids.levels.to_pylist())
    rank = np.empty(len(levels), np.int64)
    rank[np.argsort(levels)] = np.arange(len(levels))
    return np.lexsort((np.asarray(table.periods), rank[table.ids.codes]))


def fit(pooled: Pooled, ridge: float, repeat: int) -> dict[str, Any]:
    """Medians of seconds, and the quality, of scikit-learn's lbfgs with its defaults and of numpy SGD."""
    x, y = pooled.x[: pooled.train], pooled.y[: pooled.train]
    lbfgs = [timed(lambda: _lbfgs(x, y, ridge)) for _ in range(repeat)]
    descent = [timed(lambda: _sgd(x, y)) for _ in range(repeat)]
    return {
        "seconds": {"plaintext_lbfgs": _median(lbfgs), "plaintext_sgd": _median(descent)},
        "lbfgs": pooled.quality(lbfgs[-1][1]),
        "sgd": pooled.quality(descent[-1][1]),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result


def _median(runs: list[tuple[float, Any]]) -> float:
    return statistics.median(seconds for seconds, _ in runs)


def _lbfgs(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    model = LogisticRegression(C=1.0 / (len(y) * ridge)).fit(x, y)
    return np.append(model.coef_[0], model.intercept_)


def _sgd(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    weights = np.zeros(x.shape[1] + 1)
    for _ in range(EPOCHS):
        for low in range(0, len(y), BATCH):
            rows = x[low : low + BATCH]
            residual = 1.0 / (1.0 + np.exp(-(rows @ weights[:-1] + weights[-1]))) - y[low : low + BATCH]
            weights[:-1] -= RATE * (rows.T @ residual) / len(rows)
            weights[-1] -= RATE * residual.mean()
    return weights
