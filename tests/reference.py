"""The plaintext twin: the same steps as the secure computation, on pooled floating-point data. The oracle of the tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from common.learn.linear.path import LONGER, ONE, Step

Reals = npt.NDArray[np.float64]


def sigmoid(u: Reals) -> Reals:
    return 0.5 * (1.0 + np.tanh(u / 2.0))


def descend(
    x: Reals,
    y: Reals,
    ridge: Reals,
    steps: list[Step],
    link: Callable[[Reals], Reals] = sigmoid,
    start: Reals | None = None,
    joint: Reals | None = None,
) -> Reals:
    """Weights after `steps` from `start` (zero). x: (n, m) whitened; ridge: (m, m), its gradient ridge @ weights.

    joint: (m, m), which multiplies each gradient; none by default.
    """
    weights = np.zeros(x.shape[1]) if start is None else start
    ahead, measured = weights, dict[tuple[int, int], Reals]()

    def pulled(low: int, high: int, over: int, point: Reals) -> Reals:
        rows = slice(low, high)
        return x[rows].T @ (link(x[rows] @ point) - y[rows]) / over

    for step in steps:
        if step.measures:
            measured |= {part: pulled(*part, step.rows, ahead) for part in step.measures}
        gradient = pulled(step.low, step.high, step.rows if step.whole is None else step.whole, ahead) + ridge @ ahead
        if step.corrected:
            gradient = gradient + sum(measured.values()) - len(measured) * measured[step.low, step.high]
        size = step.size * (LONGER if step.longer else 1.0)
        now = ahead - size * (gradient if joint is None else joint @ gradient)
        ahead = now + step.momentum / ONE * (now - weights)
        weights = now
    return weights


def joint_matrix(grid: Reals, bank: Reals, gain: float = 1.0, held: float = 1.0) -> Reals:
    """What takes the two sides' correlation out of a gradient, (m, m), from whitened columns (n, m_grid) and (n, m_bank)."""
    c = held * grid.T @ bank / len(grid)
    n = gain * sum(np.linalg.matrix_power(c.T @ c, k) for k in range(64))
    return np.block([[gain * np.eye(len(c)) + c @ n @ c.T, -c @ n], [-n @ c.T, n]])


def standard_errors(x: np.ndarray, beta: np.ndarray, ridge: float) -> np.ndarray:
    """Of a logistic fit with the intercept first, (m + 1,), by the curvature at its optimum."""
    design = np.column_stack([np.ones(len(x)), x])
    p = 1.0 / (1.0 + np.exp(-design @ beta))
    penalty = np.diag([0.0, *[ridge] * x.shape[1]])
    return np.sqrt(np.diag(np.linalg.inv((design.T * (p * (1.0 - p))) @ design + len(x) * penalty)))
