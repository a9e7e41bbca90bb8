"""The part of a joint score that the bank's own columns explain: what points and reasons rest on where nobody holds the model.

The least-squares fit of u in the bank's prepared columns over held-out rows: a line, or with bins a step function of each. Its
rest is the grid's, with what of the bank's own part no such sum can say; the two always add up to u. Works for any learner.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from common.learn.learner import Half
from common.mpc.fixedpoint import Reals

Block = Callable[[int, int], Reals]  # prepared columns of rows low to high, (high - low, m), the intercept last

_ROWS = 1 << 14
_RIDGE = 1e-6  # of a column's own square: keeps columns apart that only held-out rows confuse


def own_weights(model: Half, block: Block, u: Reals) -> Reals:
    """Weights of the bank's prepared columns, (m,), the intercept last: the model's where they were opened, else explained."""
    return explain(block, u) if model.coefficients is None else model.coefficients


def explain(block: Block, u: Reals, rows: npt.NDArray[np.bool_] | None = None) -> Reals:
    """The weights w, (m,), that minimise |u - X w|^2 over these rows (default: all of u), with a ridge too small to see."""
    columns = block(0, 0).shape[1]
    square, right = np.zeros((columns, columns)), np.zeros(columns)
    for low in range(0, len(u), _ROWS):
        high = min(len(u), low + _ROWS)
        x, part = block(low, high), u[low:high]
        if rows is not None:
            x, part = x[rows[low:high]], part[rows[low:high]]
        square += x.T @ x
        right += x.T @ part
    return np.asarray(np.linalg.solve(square + np.diag(_RIDGE * np.maximum(np.diag(square), 1.0)), right), np.float64)


def shares(block: Block, weights: Reals, u: Reals) -> Reals:
    """The share of the variance of u that each column's part makes, (m,): covariance with u over its variance."""
    spread = float(u.var())
    if spread <= 0:
        return np.zeros(len(weights))
    total = np.zeros(len(weights))
    centred = u - u.mean()
    for low in range(0, len(u), _ROWS):
        high = min(len(u), low + _ROWS)
        total += (block(low, high) * weights).T @ centred[low:high]
    return total / (len(u) * spread)
