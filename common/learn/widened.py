"""Rows with zeros to spare, for a stock that was dealt for more. PROTOCOL.md section 6."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError
from common.mpc.product import Rows


class Widened:
    """A matrix with zero rows below and zero columns to the right, added whenever rows are read."""

    def __init__(self, matrix: Rows, rows: int, columns: int) -> None:
        self._matrix, self.shape = matrix, (rows, columns)

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        low, high, _ = rows.indices(self.shape[0])
        part = self._matrix[low : min(high, self._matrix.shape[0])]
        if part.shape == (high - low, self.shape[1]):
            return part
        out: npt.NDArray[Any] = np.zeros((high - low, self.shape[1]), part.dtype, order="F")
        out[: part.shape[0], : part.shape[1]] = part
        return out

    def __setitem__(self, rows: slice, values: npt.NDArray[Any]) -> None:
        raise LocalProtocolError("a widened matrix is only read")
