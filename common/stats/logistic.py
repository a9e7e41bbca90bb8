"""Logistic regression in plaintext, on a party's own rows: one Newton for all that is fitted so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import DataError, PlanError
from common.stats.measures import sigmoid

Array = npt.NDArray[np.float64]

_TOLERANCE = 1e-10
_ITERATIONS = 200
_HALVINGS = 60
_BLOCK = 1 << 14


@dataclass(frozen=True, repr=False)
class Design:
    """A matrix of `rows` rows and `columns` columns, read in blocks: `at(low, high)` gives float64 (high - low, columns)."""

    rows: int
    columns: int
    at: Callable[[int, int], Array]

    @classmethod
    def of(cls, x: Array) -> Design:
        """The design of a matrix in memory, (n, m)."""
        return cls(x.shape[0], x.shape[1], lambda low, high: x[low:high])

    def times(self, beta: Array) -> Array:
        out = np.empty(self.rows)
        for low in range(0, self.rows, _BLOCK):
            out[low : low + _BLOCK] = self.at(low, min(self.rows, low + _BLOCK)) @ beta
        return out

    def curvature(self, u: Array, y: Array) -> tuple[Array, Array, float]:
        """(gradient (m,), Hessian (m, m)) of the mean log-loss where the log-odds are u, (n,); the largest |x|."""
        gradient, hessian, largest = np.zeros(self.columns), np.zeros((self.columns, self.columns)), 0.0
        for low in range(0, self.rows, _BLOCK):
            rows = slice(low, low + _BLOCK)
            x, q = self.at(low, min(self.rows, low + _BLOCK)), sigmoid(u[rows])
            gradient += x.T @ (q - y[rows])
            hessian += (x.T * (q * (1 - q))) @ x
            largest = max(largest, float(np.abs(x).max(initial=0.0)))
        return gradient / self.rows, hessian / self.rows, largest


def fit_logistic(x: Array, y: Array, ridge: float) -> Array:
    """The weights minimising mean log-loss + ridge / 2 * |beta_1..m|^2, by damped Newton.

    x: (n, m) without an intercept column, standardised or at least of similar scales.  y: (n,) of 0.0 and 1.0.
    Returns beta (m + 1,), the unpenalised intercept first, where the gradient's norm is at most 1e-10 (times the
    largest |x|, where that exceeds 1). Raises PlanError for a negative ridge, and DataError for values that are not
    finite, labels not 0/1 or of one class only, and data that determine no optimum (without a ridge: separated classes
    or collinear columns).
    """
    if not ridge >= 0:
        raise PlanError(f"a ridge of {ridge} is negative", remedy="Set ridge to 0 or more, for example 0.0001.")
    _check(x, y)
    whole = np.column_stack([np.ones(len(y)), x])
    penalty = np.full(whole.shape[1], ridge)
    penalty[0] = 0.0
    return fit_design(Design.of(whole), y, np.diag(penalty))


def fit_design(design: Design, y: Array, penalty: Array) -> Array:
    """beta (m,) minimising mean log-loss + beta^T penalty beta / 2 over a design of any size; as `fit_logistic` otherwise."""
    _check_label(y)
    found = newton(design, y, penalty)
    if found.fault:
        raise _no_optimum(found.fault)
    return found.beta


@dataclass(frozen=True, repr=False)
class Descended:
    """Where `newton` ended: beta (m,) and its log-odds u (n,). fault: why this is not the optimum; empty where it is."""

    beta: Array
    u: Array
    fault: str = ""


def newton(design: Design, y: Array, penalty: Array, offset: Array | None = None) -> Descended:
    """Damped Newton on the mean log-loss of offset + X beta against y, plus beta^T penalty beta / 2, from beta = 0.

    y: (n,) within [0, 1], not only 0 and 1. offset: (n,), zero by default. penalty: (m, m). The loss never rises from step to
    step, so that even without an optimum the end is no worse than the start.
    """
    beta, u = np.zeros(design.columns), np.zeros(design.rows) if offset is None else offset.copy()
    for _ in range(_ITERATIONS):
        gradient, hessian, largest = design.curvature(u, y)
        gradient += penalty @ beta
        if np.linalg.norm(gradient) <= _TOLERANCE * max(1.0, largest):
            return Descended(beta, u, _separated(u, y, penalty))
        try:
            step = np.asarray(-np.linalg.solve(hessian + penalty, gradient), np.float64)
        except np.linalg.LinAlgError:
            return Descended(beta, u, "the columns are collinear or the classes separated")
        if (moved := _damped(design, y, penalty, beta, u, step)) is None:
            return Descended(beta, u, "no step lowers the objective")
        beta = moved
    return Descended(beta, u, "the fit did not converge")


def covariance(design: Design, u: Array, penalty: Array) -> Array:
    """(m, m), of an optimum with log-odds u (n,), by the curvature there; NaN where that determines none."""
    hessian = design.curvature(u, np.broadcast_to(0.0, (design.rows,)))[1]
    try:
        return np.asarray(np.linalg.inv(design.rows * (hessian + penalty)), np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(penalty, np.nan)


def _damped(design: Design, y: Array, penalty: Array, beta: Array, u: Array, step: Array) -> Array | None:
    """beta + step, the step halved until the objective does not rise; None if it always does. u, (n,), becomes that of it."""
    along = design.times(step)
    start = _objective(u, along, 0.0, y, penalty, beta)
    # Close to the optimum a good step changes the objective by less than its rounding: that much may rise.
    allowed, size = start + 1e-13 * (1 + abs(start)), 1.0
    for _ in range(_HALVINGS):
        if _objective(u, along, size, y, penalty, beta + size * step) <= allowed:
            for low in range(0, len(u), _BLOCK):  # of many rows no third array is made
                u[low : low + _BLOCK] += size * along[low : low + _BLOCK]
            return beta + size * step
        size = size / 2
    return None


def _objective(u: Array, along: Array, size: float, y: Array, penalty: Array, beta: Array) -> float:
    """At log-odds u + size * along, some rows at a time."""
    total = 0.0
    for low in range(0, len(u), _BLOCK):
        rows = slice(low, low + _BLOCK)
        there = u[rows] + size * along[rows]
        total += float(np.sum(np.logaddexp(0.0, there) - y[rows] * there))
    return float(total / len(u) + beta @ penalty @ beta / 2)


def _separated(u: Array, y: Array, penalty: Array) -> str:
    # Without a ridge, separated classes drive the gradient to 0 as the weights grow without end.
    separated = not penalty.any() and np.isin(y, (0.0, 1.0)).all() and np.all((u > 0) == (y == 1))
    return "the columns separate the classes completely" if separated else ""


def _check(x: Array, y: Array) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise _refuse(f"columns {x.shape} and labels {y.shape} are not of the same rows")
    if not np.isfinite(x).all():
        raise _refuse(f"{int((~np.isfinite(x)).sum())} values are not finite")


def _check_label(y: Array) -> None:
    if not ((y == 0.0) | (y == 1.0)).all():
        raise _refuse("a label is neither 0 nor 1")
    if not len(y) or y.min() == y.max():
        raise _refuse("the label has one class only")


def _refuse(why: str) -> DataError:
    text = f"Cannot fit a local model: {why}"
    return DataError(text, public=text, remedy="Check the label column, the preparation and the size of the training rows.")


def _no_optimum(why: str) -> DataError:
    text = f"Cannot fit a local model: {why}"
    return DataError(text, public=text, remedy="Set a ridge above 0, or remove the columns at fault.")
