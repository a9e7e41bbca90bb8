"""One prepared column: its fitted parameters and how they map a table's column to model input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import FiniteFloat

from common.config import StrictModel
from common.errors import DataError
from common.rows.table import FeatureTable

Vector = npt.NDArray[np.float64]
MISSING_LEVEL = "(missing)"


class FittedColumn(StrictModel):
    """Maps a source column x to (clamp((s(x) - mean) / deviation, low, high) - centre) / spread.

    s imputes and, for a numeric column (`level` None), takes the signed log if `signed_log`; for a categorical one it
    is the indicator of `level`. All parameters come from training rows.
    """

    name: str
    source: str
    level: str | None
    fill: FiniteFloat | None = None
    fill_level: str | None = None
    signed_log: bool = False
    mean: FiniteFloat
    deviation: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    centre: FiniteFloat
    spread: FiniteFloat

    def apply(self, table: FeatureTable) -> Vector:
        """float64 (n,); raises DataError if the source is absent, of another kind, or misses what it cannot impute."""
        if self.level is None and self.source not in table.numeric:
            raise absent(self.source, "numeric")
        raw = self._indicator(table) if self.level is not None else table.numeric[self.source]
        return (self.squashed(raw) - self.centre) / self.spread

    def squashed(self, values: Vector) -> Vector:
        """Values of the source imputed, logged, standardised and clamped, (n,)."""
        filled = impute(values, self.fill)
        check_imputed(self.source, np.isnan(filled))
        return squash(signed_log(filled) if self.signed_log else filled, self.mean, self.deviation, self.low, self.high)

    def _indicator(self, table: FeatureTable) -> Vector:
        if self.source not in table.categorical:
            raise absent(self.source, "categorical")
        values = table.categorical[self.source]
        ones: npt.NDArray[np.bool_] = np.asarray(values == self.level, dtype=np.bool_)
        missing = np.asarray(pd.isna(values))
        if self.fill_level is None:
            check_imputed(self.source, missing)
        elif self.fill_level == self.level:
            ones |= missing
        return ones.astype(np.float64)


def absent(source: str, kind: str) -> DataError:
    """The error of a table without the column."""
    message = f"the table has no {kind} column {source!r}, which the preparation needs"
    return DataError(message, public=message, remedy="Declare the columns as they were in training.")


def check_imputed(source: str, missing: npt.NDArray[np.bool_]) -> None:
    """Raises DataError if a row misses a value that is declared to be dropped or refused."""
    if missing.any():
        message = f"column {source!r} misses {int(missing.sum())} values that its preparation does not impute"
        raise DataError(message, public=message, remedy="Drop these rows, or declare how `missing` is imputed.")


def impute(values: Vector, fill: float | None) -> Vector:
    """`values` with `fill` in place of NaN; `values` themselves if `fill` is None, or none is missing."""
    if fill is None or not (missing := np.isnan(values)).any():
        return values
    return np.where(missing, fill, values)


def signed_log(values: Vector) -> Vector:
    """sign(x) log(1 + |x|)."""
    logs: Vector = np.log1p(np.abs(values))
    logs *= np.sign(values)
    return logs


def squash(values: Vector, mean: float, deviation: float, low: float, high: float) -> Vector:
    """Standardised and clamped to [low, high]; values too large for float64 end at the bounds."""
    with np.errstate(over="ignore"):
        moved = values - mean
        moved /= deviation
        return np.clip(moved, low, high, out=moved)
