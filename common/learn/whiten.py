"""Whitening a party's own columns, so that few training steps suffice (protos/PROTOCOL.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from common.errors import RangeError

Reals = npt.NDArray[np.float64]

_FLOOR = 1e-9  # keeps the matrix definite when columns are nearly collinear and there is no ridge


def gram(parts: Iterable[Reals], columns: int) -> tuple[Reals, int, float]:
    """X^T X / n (m, m), n, and the largest |x|^2 of a row of X (n, m), which comes in blocks of rows.

    X: the prepared training rows, an intercept column included if there is one. Raises RangeError if X holds a value that is
    not finite, or no row.
    """
    rows, products, longest = 0, np.zeros((columns, columns)), 0.0
    for part in parts:
        if not np.isfinite(part).all():
            raise RangeError("whitening needs finite values only")
        rows, products = rows + len(part), products + part.T @ part
        longest = max(longest, float(np.einsum("ij,ij->i", part, part).max(initial=0.0)))
    if not rows:
        raise RangeError("whitening needs rows")
    return products / rows, rows, longest


def whitener(products: Reals, penalised: npt.NDArray[np.bool_], ridge: float) -> Reals:
    """The upper triangular W (m, m) with W^T (products + 4 ridge diag(penalised)) W = I, up to a floor of 1e-9.

    products: X^T X / n, (m, m); `penalised` (m,) is False for the intercept. X W is what is trained, and weights w of it are
    W w on the columns of X.
    """
    lower = np.linalg.cholesky(products + np.diag(4.0 * ridge * penalised + _FLOOR))
    return np.ascontiguousarray(np.triu(np.linalg.solve(lower, np.eye(len(products))).T))
