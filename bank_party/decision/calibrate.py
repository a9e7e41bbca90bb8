"""Log-odds to probabilities that mean what they say: fitted on validation rows, monotone, measured on test rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from common.config import StrictModel
from common.stats.logistic import Design, newton
from common.stats.measures import sigmoid

Vector = npt.NDArray[np.float64]


class Calibration(StrictModel):
    """log-odds = slope u + intercept, slope >= 0; isotonic: the probability is interpolated between knots instead.

    The line is there for isotonic too: the scorecard's points follow it, and one adjustment entry takes the rest.
    """

    method: Literal["platt", "isotonic", "none"]
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()  # u, rising
    levels: tuple[float, ...] = ()  # probability at each knot, rising, within (0, 1)

    @model_validator(mode="after")
    def _monotone(self) -> Calibration:
        u, p = np.array(self.knots), np.array(self.levels)
        if self.slope < 0 or len(u) != len(p) or (len(u) > 0) is not (self.method == "isotonic"):
            raise ValueError("not a monotone calibration")
        if (np.diff(u) < 0).any() or (np.diff(p) < 0).any() or not ((p > 0) & (p < 1)).all():
            raise ValueError("knots and levels must rise, and levels be within 0 and 1")
        return self

    def line(self, u: Vector) -> Vector:
        """Log-odds by slope and intercept, (n,)."""
        return self.slope * u + self.intercept

    def log_odds(self, u: Vector) -> Vector:
        """Calibrated log-odds of overdue, (n,)."""
        if self.method != "isotonic":
            return self.line(u)
        p = np.interp(u, np.array(self.knots), np.array(self.levels))
        return np.asarray(np.log(p) - np.log1p(-p), np.float64)

    def probability(self, u: Vector) -> Vector:
        """Calibrated probability of overdue, (n,)."""
        return sigmoid(self.log_odds(u))


class ReliabilityBin(StrictModel):
    """Rows of similar probability: how many, their mean probability, the share that was overdue."""

    rows: int
    expected: float
    observed: float


def calibrate(u: Vector, y: Vector, method: Literal["platt", "isotonic", "none"]) -> Calibration:
    """Fitted on scores u (n,) and labels y (n,); never fails, also for one class or one score."""
    if method == "none":
        return Calibration(method=method)
    slope, intercept = platt(u, y)
    if method == "platt":
        return Calibration(method=method, slope=slope, intercept=intercept)
    knots, levels = isotonic(u, y)
    return Calibration(method=method, slope=slope, intercept=intercept, knots=knots, levels=levels)


def platt(u: Vector, y: Vector) -> tuple[float, float]:
    """(slope >= 0, intercept) by Newton on log-loss, with Platt's targets, so that separated classes have an optimum too.

    Source: Platt (1999), Lin, Lin and Weng (2007). Scores that rank the wrong way give slope 0: the overall rate for all.
    """
    bad = float(y.sum())
    target = np.where(y == 1, (bad + 1) / (bad + 2), 1 / (len(y) - bad + 2))
    rate = float(target.mean())
    flat = (0.0, float(np.log(rate) - np.log1p(-rate)))
    middle, spread = float(u.mean()), float(u.std())
    if spread <= 1e-12 * max(1.0, abs(middle)):
        return flat
    design = Design.of(np.column_stack([(u - middle) / spread, np.ones(len(u))]))
    # From the overall rate on; where scores leave no optimum to be found, its end is still no worse than that.
    slope, moved = newton(design, target, np.zeros((2, 2)), np.full(len(u), flat[1])).beta.tolist()
    if slope <= 0:
        return flat
    return slope / spread, flat[1] + moved - slope * middle / spread


def isotonic(u: Vector, y: Vector) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(knots, levels): pool adjacent violators over distinct scores, both ends of each pool kept.

    Levels are held within 1 / (2 n) of 0 and 1, as no number of rows shows that something never happens.
    """
    scores, group = np.unique(u, return_inverse=True)
    weight = np.bincount(group).astype(np.float64)
    bad = np.bincount(group, weights=y)
    pools: list[list[float]] = []  # first, last, rows, bad
    for at, (rows, overdue) in enumerate(zip(weight.tolist(), bad.tolist(), strict=True)):
        pools.append([at, at, rows, overdue])
        while len(pools) > 1 and pools[-2][3] * pools[-1][2] >= pools[-1][3] * pools[-2][2]:
            _, last, rows, overdue = pools.pop()
            pools[-1] = [pools[-1][0], last, pools[-1][2] + rows, pools[-1][3] + overdue]
    least = 0.5 / len(u)
    knots, levels = [], []
    for first, last, rows, overdue in pools:
        for at in dict.fromkeys((int(first), int(last))):
            knots.append(float(scores[at]))
            levels.append(min(max(overdue / rows, least), 1 - least))
    return tuple(knots), tuple(levels)


def reliability(p: Vector, y: Vector, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Bins of equal numbers of rows (within one), by rising probability."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return tuple(
        ReliabilityBin(rows=len(part), expected=float(p[part].mean()), observed=float(y[part].mean())) for part in parts
    )


def calibration_error(curve: tuple[ReliabilityBin, ...]) -> float:
    """Expected calibration error: |expected - observed| over the bins, weighted by rows."""
    rows = sum(b.rows for b in curve)
    return sum(b.rows * abs(b.expected - b.observed) for b in curve) / rows
