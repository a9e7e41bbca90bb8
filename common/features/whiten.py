"""Whitening a party's own columns, so that few training steps suffice (protos/PROTOCOL.md section 6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.errors import RangeError

_FLOOR = 1e-9  # keeps the matrix definite when columns are nearly collinear and there is no ridge


def whitening(x_train: npt.NDArray[np.float64], penalised: npt.NDArray[np.bool_], ridge: float) -> npt.NDArray[np.float64]:
    """The upper triangular W (m, m) with W^T (X^T X / n + 4 ridge diag(penalised)) W = I, up to a floor of 1e-9.

    x_train = X (n, m) holds the prepared training rows, an intercept column included if there is one; `penalised` (m,)
    is False for the intercept. X W is what is trained, and weights w of it are W w on the columns of X.
    Raises RangeError if x_train holds a value that is not finite, or no row.
    """
    rows, columns = x_train.shape
    if not rows or not np.isfinite(x_train).all():
        raise RangeError("whitening needs rows, and only finite values in them")
    curvature = x_train.T @ x_train / rows + np.diag(4.0 * ridge * penalised + _FLOOR)
    lower = np.linalg.cholesky(curvature)
    return np.ascontiguousarray(np.triu(np.linalg.solve(lower, np.eye(columns)).T))
