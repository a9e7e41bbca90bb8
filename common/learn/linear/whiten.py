"""Whitening a party's own columns, so that few training steps suffice (protos/PROTOCOL.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from common.errors import RangeError

Reals = npt.NDArray[np.float64]

_FLOOR = 1e-9  # keeps the matrix definite when columns are nearly collinear and there is no ridge


def whitening(
    parts: Iterable[npt.NDArray[np.float64]], penalised: npt.NDArray[np.bool_], ridge: float
) -> npt.NDArray[np.float64]:
    """The upper triangular W (m, m) with W^T (X^T X / n + 4 ridge diag(penalised)) W = I, up to a floor of 1e-9.

    parts: the rows of X (n, m), the prepared training rows, in blocks, an intercept column included if there is one;
    `penalised` (m,) is False for the intercept. X W is what is trained, and weights w of it are W w on the columns of X.
    Raises RangeError if X holds a value that is not finite, or no row.
    """
    columns = len(penalised)
    rows, products = 0, np.zeros((columns, columns))
    for part in parts:
        if not np.isfinite(part).all():
            raise RangeError("whitening needs finite values only")
        rows, products = rows + len(part), products + part.T @ part
    if not rows:
        raise RangeError("whitening needs rows")
    lower = np.linalg.cholesky(products / rows + np.diag(4.0 * ridge * penalised + _FLOOR))
    return np.ascontiguousarray(np.triu(np.linalg.solve(lower, np.eye(columns)).T))
