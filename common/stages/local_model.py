"""A party's own logistic regression, in plaintext on its own rows: what the joint model is compared with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.errors import DataError, PlanError
from common.stages.metrics import sigmoid

Array = npt.NDArray[np.float64]

_TOLERANCE = 1e-10
_ITERATIONS = 200
_HALVINGS = 60


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
    design = np.column_stack([np.ones(len(y)), x])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    beta = np.zeros(design.shape[1])
    tolerance = _TOLERANCE * float(np.abs(design).max())
    for _ in range(_ITERATIONS):
        p = sigmoid(design @ beta)
        gradient = design.T @ (p - y) / len(y) + penalty * beta
        if np.linalg.norm(gradient) <= tolerance:
            return _unless_separated(design, y, beta, ridge)
        beta = _damped(design, y, penalty, beta, _newton_step(design, p, penalty, gradient))
    raise _no_optimum("the fit did not converge")


def standard_errors(x: Array, beta: Array, ridge: float) -> Array:
    """Of what `fit_logistic` gave, (m + 1,), by the curvature at the optimum; NaN where that determines none."""
    design = np.column_stack([np.ones(len(x)), x])
    p = sigmoid(design @ beta)
    penalty = np.full(len(beta), ridge * len(x))
    penalty[0] = 0.0
    try:
        spread = np.diag(np.linalg.inv((design.T * (p * (1 - p))) @ design + np.diag(penalty)))
    except np.linalg.LinAlgError:
        return np.full(len(beta), np.nan)
    return np.sqrt(np.where(spread > 0, spread, np.nan))


def _newton_step(design: Array, p: Array, penalty: Array, gradient: Array) -> Array:
    hessian = (design.T * (p * (1 - p))) @ design / len(p) + np.diag(penalty)
    try:
        return np.asarray(-np.linalg.solve(hessian, gradient), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise _no_optimum("the columns are collinear or the classes separated") from None


def _damped(design: Array, y: Array, penalty: Array, beta: Array, step: Array) -> Array:
    """beta + step, the step halved until the objective does not rise."""
    start = _objective(design, y, penalty, beta)
    # Close to the optimum a good step changes the objective by less than its rounding: that much may rise.
    allowed = start + 1e-13 * (1 + abs(start))
    for _ in range(_HALVINGS):
        if _objective(design, y, penalty, beta + step) <= allowed:
            return beta + step
        step = step / 2
    raise _no_optimum("no step lowers the objective")


def _objective(design: Array, y: Array, penalty: Array, beta: Array) -> float:
    u = design @ beta
    return float(np.mean(np.logaddexp(0.0, u) - y * u) + penalty @ np.square(beta) / 2)


def _unless_separated(design: Array, y: Array, beta: Array, ridge: float) -> Array:
    # Without a ridge, separated classes drive the gradient to 0 as the weights grow without end.
    if ridge == 0 and np.all((design @ beta > 0) == (y == 1)):
        raise _no_optimum("the columns separate the classes completely")
    return beta


def _check(x: Array, y: Array) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise _refuse(f"columns {x.shape} and labels {y.shape} are not of the same rows")
    if not np.isfinite(x).all():
        raise _refuse(f"{int((~np.isfinite(x)).sum())} values are not finite")
    if not np.isin(y, (0.0, 1.0)).all():
        raise _refuse("a label is neither 0 nor 1")
    if len(np.unique(y)) < 2:
        raise _refuse("the label has one class only")


def _refuse(why: str) -> DataError:
    text = f"Cannot fit a local model: {why}"
    return DataError(text, public=text, remedy="Check the label column, the preparation and the size of the training rows.")


def _no_optimum(why: str) -> DataError:
    text = f"Cannot fit a local model: {why}"
    return DataError(text, public=text, remedy="Set a ridge above 0, or remove the columns at fault.")
