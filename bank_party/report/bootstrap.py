"""Intervals by drawing enterprises again: all rows of one come together, since its months are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.stats.measures import sigmoid

Vector = npt.NDArray[np.float64]
Groups = npt.NDArray[np.intp]

MEASURES = ("auc", "ks", "gini", "logloss", "brier")
SAMPLES = 200
_WORK = 100_000_000  # rows times samples: fewer samples of very many rows
_SEED = 1


@dataclass(frozen=True)
class Band:
    """2.5 % and 97.5 % quantiles over the samples."""

    low: float
    high: float


@dataclass(frozen=True)
class Bands:
    """Bands by measure: of the joint model, of the bank-only model, of joint less bank-only; over `samples` samples."""

    samples: int
    joint: dict[str, Band]
    alone: dict[str, Band]
    difference: dict[str, Band]


def bootstrap(y: Vector, joint: Vector, alone: Vector, who: Groups, samples: int = SAMPLES) -> Bands:
    """y, joint, alone: (n,); who: the enterprise of each row, from 0. The same input gives the same bands."""
    rng = np.random.default_rng(_SEED)
    count = max(20, min(samples, _WORK // len(y)))
    one, two, firms = _Ranked(y, joint), _Ranked(y, alone), int(who.max()) + 1
    found: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
    while len(found) < count:
        weight = np.bincount(rng.integers(0, firms, firms), minlength=firms)[who].astype(np.float64)
        if 0 < weight @ y < weight.sum():  # both classes
            found.append((one.measure(weight), two.measure(weight)))
    values = np.array(found)  # (samples, 2, measures)
    return Bands(count, _bands(values[:, 0]), _bands(values[:, 1]), _bands(values[:, 0] - values[:, 1]))


def _bands(values: Vector) -> dict[str, Band]:
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    return {name: Band(float(low[k]), float(high[k])) for k, name in enumerate(MEASURES)}


class _Ranked:
    """Scores sorted once; measures of them under any weights of rows are then sums."""

    def __init__(self, y: Vector, u: Vector) -> None:
        self._order = np.argsort(u, kind="stable")
        ranked, self._y = u[self._order], y[self._order]
        self._starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        p = sigmoid(ranked)
        self._loss = np.where(self._y == 1, np.logaddexp(0.0, -ranked), np.logaddexp(0.0, ranked))
        self._error = np.square(p - self._y)

    def measure(self, weight: Vector) -> tuple[float, ...]:
        """auc, ks, gini, logloss, brier of rows that count `weight` (n,) times."""
        w = weight[self._order]
        bad = np.add.reduceat(w * self._y, self._starts)
        good = np.add.reduceat(w * (1 - self._y), self._starts)
        below = np.cumsum(good)
        area = float(bad @ (below - good / 2) / (bad.sum() * good.sum()))
        gap = float(np.abs(np.cumsum(bad) / bad.sum() - below / good.sum()).max())
        return area, gap, 2 * area - 1, float(w @ self._loss / w.sum()), float(w @ self._error / w.sum())
