"""A bank's columns prepared alike at several banks: own means, deviations over the rows of all. PROTOCOL.md section 16.

Each bank has an intercept of its own, so where its columns are centred changes no model; what one unit of them is, does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.errors import DataError
from common.features.column import FittedColumn, Vector, check_imputed, impute, signed_log, squash
from common.features.fit import fill_value, is_binary, takes_log
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

EXPONENTS = 256  # cells of a power of two that a deviation is below
_OFFSET = 128
_APART = 7  # powers of two
_FREE = 1e4  # the bound of a column of two values, which is not clipped


@dataclass(frozen=True, repr=False)
class OwnColumn:
    """One column of this bank as it is before all banks have said what its unit is. values: of training rows, imputed."""

    name: str
    fill: float | None
    raw: Vector
    odd: int  # rows that differ from the most frequent value, training or not
    log: bool = False

    @property
    def binary(self) -> bool:
        return is_binary(self.raw)

    @property
    def values(self) -> Vector:
        return signed_log(self.raw) if self.log else self.raw

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def deviation(self) -> float:
        return float(self.values.std())

    def logged(self, log: bool) -> OwnColumn:
        return replace(self, log=log)


def own_columns(table: FeatureTable, columns: Mapping[str, ColumnConfig], train_rows: int) -> list[OwnColumn]:
    """The columns in the order of their names. Raises DataError for one that is no number, or too large for one."""
    found = []
    for name in sorted(columns):
        config = columns[name]
        if config.kind != "numeric":
            message = f"column {name!r} is a category, and with several banks columns are numbers"
            raise DataError(
                message, public=message, remedy="Leave it out of the plan's columns, or give its levels as numbers."
            )
        values = table.numeric[name]
        fill = fill_value(values[:train_rows], config.missing)
        raw = impute(values, fill)
        check_imputed(name, np.isnan(raw))
        counts = np.unique(raw, return_counts=True)[1]
        found.append(OwnColumn(name, fill, raw[:train_rows], int(len(raw) - counts.max())))
    return found


def votes(own: Sequence[OwnColumn], columns: Mapping[str, ColumnConfig]) -> Vector:
    """For each column whether this bank would take its logarithm, and whether it has more than two values here, (2 b,)."""
    logs = [takes_log(one.raw, columns[one.name].transform) for one in own]
    return np.array([*logs, *(not one.binary for one in own)], np.float64)


def exponents(own: Sequence[OwnColumn]) -> Vector:
    """A one for each column in the cell of the power of two that its deviation is below, (b, EXPONENTS); none if it is 0.

    Raises DataError for numbers too large to standardise.
    """
    cells = np.zeros((len(own), EXPONENTS))
    for row, one in zip(cells, own, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = one.deviation
        if not np.isfinite(deviation) or abs(exponent := int(np.frexp(deviation)[1])) >= _OFFSET:
            message = f"column {one.name!r} holds numbers too large or too small to standardise"
            raise DataError(message, public=message, remedy="Declare `max`, or transform = 'signed_log'.")
        row[exponent + _OFFSET] = deviation > 1e-12 * np.abs(one.values).max(initial=0.0)
    return cells


def largest(counts: Vector) -> list[int | None]:
    """The largest exponent that a bank has for each column, from the counts of all; None where it is constant at each."""
    found: list[int | None] = []
    for row in counts:
        cells = np.flatnonzero(row > 0.5)
        found.append(int(cells[-1]) - _OFFSET if len(cells) else None)
    return found


def far_apart(counts: Vector) -> list[bool]:
    """Of each column, whether deviations of two banks differ by a factor of 100 or more, as where one counts in thousands."""
    cells = [np.flatnonzero(row > 0.5) for row in counts]
    return [bool(len(found) and found[-1] - found[0] > _APART) for found in cells]


def spreads(own: Sequence[OwnColumn], units: Sequence[int], total: int) -> Vector:
    """What this bank adds to the pooled variance of each column, in units of 4^exponent, (b,)."""
    pairs = zip(own, units, strict=True)
    return np.array([float((((one.values - one.mean) * 2.0**-unit) ** 2).sum()) / total for one, unit in pairs])


def fitted(one: OwnColumn, deviation: float, clip: float, free: bool, spread: float = 1.0) -> FittedColumn:
    """The column with this bank's mean and the deviations of all. free: it has two values at each bank, and is not clipped."""
    low, high = (-_FREE, _FREE) if free else (-clip, clip)
    clipped = squash(one.values, one.mean, deviation, low, high)
    return FittedColumn(
        name=one.name, source=one.name, level=None, fill=one.fill, signed_log=one.log, mean=one.mean, deviation=deviation,
        low=low, high=high, centre=float(clipped.mean()), spread=spread,
    )  # fmt: skip


def clipped_spread(one: OwnColumn, column: FittedColumn, total: int) -> float:
    """What this bank adds to the pooled variance of the clipped column."""
    clipped = squash(one.values, column.mean, column.deviation, column.low, column.high)
    return float(((clipped - column.centre) ** 2).sum()) / total
