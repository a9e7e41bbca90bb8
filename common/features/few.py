"""A preparation of few rows, as they are asked for one by one: the same bytes as column by column, at a fraction of the cost.

Numpy takes as long for a column of one value as for one of a thousand, so here lines go side by side and cells are looked up
value by value.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import isnan

import numpy as np
import numpy.typing as npt

from common.features.bins import BinnedColumn, Column
from common.features.column import FittedColumn, Vector, absent, check_imputed, signed_log
from common.rows.table import Abreast, FeatureTable

MOST = 64  # rows that are few


class Few:
    """The columns of a preparation, sorted by how they are applied."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._width = len(columns)
        self._before: tuple[Callable[[], FeatureTable | None], Vector] = (lambda: None, np.empty((0, 0)))
        lines = [(j, c) for j, c in enumerate(columns) if isinstance(c, FittedColumn) and c.level is None]
        cells = [(j, c) for j, c in enumerate(columns) if isinstance(c, BinnedColumn) and c.cells.levels is None]
        done = {j for j, _ in (*lines, *cells)}
        self._others = [(j, column) for j, column in enumerate(columns) if j not in done]
        self._lines, self._cells = [column for _, column in lines], cells
        self._places = np.array([j for j, _ in lines], np.int64)
        self._sources: tuple[tuple[str, ...], npt.NDArray[np.int64]] = ((), self._places)  # of lines, in columns side by side
        self._filled = np.array([c.fill is not None for c in self._lines], np.bool_)
        self._fill = np.array([0.0 if c.fill is None else c.fill for c in self._lines])
        self._logged = np.array([c.signed_log for c in self._lines], np.bool_)
        names = ("mean", "deviation", "low", "high", "centre", "spread")
        self._mean, self._deviation, self._low, self._high, self._centre, self._spread = (
            np.array([getattr(c, name) for c in self._lines]) for name in names
        )

    def transform(self, table: FeatureTable) -> Vector:
        """float64 (n, m), column-major, as `FittedPreparation.transform` gives and raises.

        Of the table before again: a row that is asked for is prepared to be scored, and for its reasons.
        """
        table_before, made = self._before
        if table_before() is table:
            return made.copy(order="F")
        out = np.empty((table.rows, self._width), np.float64, order="F")
        if self._lines:
            out[:, self._places] = self._of_lines(table)
        values: dict[str, list[float]] = {}
        for j, binned in self._cells:
            if (source := binned.source) not in values:
                values[source] = _numbers(table, source).tolist()
            out[:, j] = _of_cells(binned, values[source])
        for j, other in self._others:
            out[:, j] = other.apply(table)
        self._before = weakref.ref(table), out.copy(order="F")
        return out

    def _of_lines(self, table: FeatureTable) -> Vector:
        raw = self._raw(table)
        missing = np.isnan(raw)
        if missing.any():
            for column, gaps in zip(self._lines, (missing & ~self._filled).T, strict=True):
                check_imputed(column.source, gaps)
            raw = np.where(missing, self._fill, raw)
        if self._logged.any():
            raw[:, self._logged] = signed_log(raw[:, self._logged])
        with np.errstate(over="ignore"):
            squashed = np.clip((raw - self._mean) / self._deviation, self._low, self._high)
        found: Vector = (squashed - self._centre) / self._spread
        return found

    def _raw(self, table: FeatureTable) -> Vector:
        """What the lines are of, (n, lines)."""
        if isinstance(columns := table.numeric, Abreast):
            if self._sources[0] is not columns.names:
                for column in self._lines:
                    _numbers(table, column.source)
                places = np.array([columns.names.index(column.source) for column in self._lines], np.int64)
                self._sources = columns.names, places
            raw: Vector = columns.cells[:, self._sources[1]]
            return raw
        read = {source: _numbers(table, source) for source in dict.fromkeys(column.source for column in self._lines)}
        return np.array([read[column.source] for column in self._lines]).T


def _numbers(table: FeatureTable, source: str) -> Vector:
    try:
        return table.numeric[source]
    except KeyError:
        raise absent(source, "numeric") from None


def _of_cells(column: BinnedColumn, values: list[float]) -> list[float]:
    cells, last = column.cells, column.cells.count - 1
    gaps = [isnan(value) for value in values]
    if cells.missing == "refuse":
        check_imputed(cells.source, np.array(gaps, np.bool_))
    places = (last if gap else bisect_right(cells.edges, value) for gap, value in zip(gaps, values, strict=True))
    return [(column.values[place] - column.centre) / column.spread for place in places]
