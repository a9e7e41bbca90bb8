"""A step function of one source column, fitted: cells of values, and a number for each. PROTOCOL.md section 13."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import FiniteFloat, model_validator

from common.config import StrictModel
from common.features.column import MISSING_LEVEL, FittedColumn, Vector, absent, check_imputed
from common.rows.table import FeatureTable

Codes = npt.NDArray[np.int16]
Missing = Literal["bin", "refuse"]


class Cells(StrictModel):
    """How a column's values fall into cells; the last cell takes what the others do not.

    Numeric (`levels` None): cell k holds edges[k-1] <= x < edges[k], and the last one missing values. Categorical: cell k
    holds levels[k], and the last one every other level. A missing level becomes `fill_level`.
    """

    source: str
    edges: tuple[FiniteFloat, ...] = ()
    levels: tuple[str, ...] | None = None
    missing: Missing = "bin"
    fill_level: str | None = None

    @model_validator(mode="after")
    def _rising(self) -> Cells:
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must rise")
        return self

    @property
    def count(self) -> int:
        return len(self.edges) + 2 if self.levels is None else len(self.levels) + 1

    def of(self, table: FeatureTable) -> Codes:
        """The cell of each row, (n,). Raises DataError if the table lacks the column, or a value that must be there."""
        columns = table.numeric if self.levels is None else table.categorical
        if self.source not in columns:
            raise absent(self.source, "numeric" if self.levels is None else "categorical")
        values = columns[self.source]
        # pandas takes a fifth of what a row that is asked for takes
        gaps = np.isnan(values) if self.levels is None else np.asarray(pd.isna(values), np.bool_)
        if self.missing == "refuse":
            check_imputed(self.source, gaps)
        if self.levels is None:
            found = np.searchsorted(np.array(self.edges, np.float64), values, side="right")
            return np.where(gaps, self.count - 1, found).astype(np.int16)
        filled = values if self.fill_level is None else np.where(gaps, self.fill_level, values)
        place = pd.Index(self.levels, dtype=object).get_indexer(pd.Index(filled, dtype=object))
        return np.where(place < 0, self.count - 1, place).astype(np.int16)

    def label(self, members: tuple[int, ...]) -> str:
        """The bin's name for people: `[10, 20)`, `(missing)`, `farm, mill`."""
        if self.levels is not None:
            return ", ".join(self.levels[k] if k < len(self.levels) else "(other)" for k in members)
        last, bounds = self.count - 1, (-np.inf, *self.edges, np.inf)
        ranges = sorted(k for k in members if k != last)
        parts = [f"[{bounds[ranges[0]]:g}, {bounds[ranges[-1] + 1]:g})"] if ranges else []
        return " or ".join(parts + ([MISSING_LEVEL] if last in members else []))


class BinnedColumn(StrictModel):
    """Maps a row to (values[its cell] - centre) / spread; values are weights of evidence, or 1 in one bin and else 0."""

    name: str
    cells: Cells
    values: tuple[FiniteFloat, ...]
    centre: FiniteFloat
    spread: FiniteFloat

    @property
    def source(self) -> str:
        return self.cells.source

    @model_validator(mode="after")
    def _complete(self) -> BinnedColumn:
        if len(self.values) != self.cells.count or not self.spread > 0:
            raise ValueError("a binned column needs a value for each cell, and a spread above 0")
        return self

    def apply(self, table: FeatureTable) -> Vector:
        """float64 (n,); raises DataError as `Cells.of` does."""
        return self.placed(self.cells.of(table))

    def placed(self, codes: npt.NDArray[np.integer[Any]]) -> Vector:
        """The same of rows whose cells are known, (n,)."""
        found: Vector = ((np.array(self.values, np.float64) - self.centre) / self.spread).take(codes)
        return found


Column = FittedColumn | BinnedColumn
