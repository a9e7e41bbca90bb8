"""Points: a row's score as a sum over the bank's columns, one number for the grid's part, base and calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bank_party.decision.calibrate import Calibration
from bank_party.decision.config import DecisionConfig
from common.config import StrictModel
from common.errors import DataError
from common.features.bins import BinnedColumn, Column
from common.features.column import MISSING_LEVEL
from common.rows.table import FeatureTable, Ids

Vector = npt.NDArray[np.float64]

BASE, GRID, CALIBRATION = "(base)", "(grid)", "(calibration)"
_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles at which a linear column's points are listed
_MOST = 1e9  # points, for the sake of the integer; nothing real comes near
_FEW = 8  # distinct values that are all listed


class Attribute(StrictModel):
    """The points that a value of the bank's column gives: `label` is a category, a bin or one representative value."""

    column: str
    label: str
    points: float


class Scorecard(StrictModel):
    """score = offset - factor * calibrated log-odds of overdue, as a sum of points over `entries`.

    A column's points are rate * weight (x - mean) over the prepared columns made of it; the grid's are rate * its part of u.
    The base entry holds offset, intercept, the columns' means and the calibration's intercept; the last entry is what an
    isotonic calibration departs from its line, and 0 otherwise. Points are exact; the written score is their sum, rounded
    to a whole point, which is odds within a factor of 2^(1 / (2 pdo)).
    """

    factor: float
    offset: float
    rate: float  # points of one unit of u: -factor * slope
    base: float
    columns: tuple[str, ...]  # of the bank, in the order of the points
    means: tuple[float, ...]  # of the prepared columns over training rows
    attributes: tuple[Attribute, ...]

    @property
    def entries(self) -> tuple[str, ...]:
        return (BASE, *self.columns, GRID, CALIBRATION)

    def exact(self, log_odds: Vector) -> Vector:
        """The score before rounding, (n,), of calibrated log-odds."""
        return self.offset - self.factor * log_odds

    def score(self, log_odds: Vector) -> npt.NDArray[np.int32]:
        """The written score, (n,): whole points."""
        return np.asarray(np.rint(np.clip(self.exact(log_odds), -_MOST, _MOST)), np.int32)

    def log_odds(self, score: Vector) -> Vector:
        """Calibrated log-odds of an exact score, (n,)."""
        return (self.offset - score) / self.factor

    def points(self, own: Vector, grid: Vector, u: Vector, calibration: Calibration) -> Vector:
        """Exact points, (n, entries). own: the bank's contributions, (n, columns); grid: the grid's part of u; u: joint."""
        out = np.empty((len(u), len(self.entries)), np.float64, order="F")
        out[:, 0] = self.base
        out[:, 1:-2] = self.rate * own
        out[:, -2] = self.rate * grid
        out[:, -1] = -self.factor * (calibration.log_odds(u) - calibration.line(u))
        return out


def sources(columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns of the table that the prepared ones are made of, each once, in their order."""
    return tuple(dict.fromkeys(column.source for column in columns))


def make_scorecard(
    config: DecisionConfig,
    calibration: Calibration,
    columns: Sequence[Column],
    weights: Vector,
    means: Vector,
    train: FeatureTable,
) -> Scorecard:
    """weights: of the prepared columns and last the intercept, (m + 1,). means: of the prepared columns, (m,).

    train: training rows, from which a linear column's representative values are taken.
    """
    factor = config.pdo / math.log(2.0)
    offset = config.base_score - factor * math.log(config.base_odds)
    centre = float(weights[-1] + weights[:-1] @ means)
    rate = -factor * calibration.slope
    return Scorecard(
        factor=factor,
        offset=offset,
        rate=rate,
        base=offset + rate * centre - factor * calibration.intercept,
        columns=sources(columns),
        means=tuple(means.tolist()),
        attributes=tuple(
            Attribute(column=source, label=label, points=points)
            for source in sources(columns)
            for label, points in _attributes(source, columns, rate * weights[:-1], means, train)
        ),
    )


def _attributes(
    source: str, columns: Sequence[Column], rates: Vector, means: Vector, train: FeatureTable
) -> list[tuple[str, float]]:
    """(label, points) of a column's bins, categories or representative values, and of a missing value if one is imputed."""
    own = [(column, rates[j], means[j]) for j, column in enumerate(columns) if column.source == source]
    numeric = source in train.numeric
    found: list[tuple[str, float]] = []
    for labelled in (_values(source, own[0][0], train), [(MISSING_LEVEL, np.nan if numeric else None)]):
        rows = _rows(source, [value for _, value in labelled], numeric=numeric)
        try:
            points = sum((rate * (column.apply(rows) - mean) for column, rate, mean in own), np.zeros(len(labelled)))
        except DataError:  # the missing value of a column that imputes none
            continue
        found += zip((label for label, _ in labelled), points.tolist(), strict=True)
    return found


def _values(source: str, column: Column, train: FeatureTable) -> list[tuple[str, Any]]:
    """(label, value) of each attribute of a column, the missing value apart."""
    if source not in train.numeric:
        levels = sorted({str(level) for level in train.categorical[source] if level is not None})
        return [(level, level) for level in levels]
    if isinstance(column, BinnedColumn):
        return _bins(list(column.cells.edges))
    values = train.numeric[source]
    values = values[~np.isnan(values)]
    if not values.size:
        return []
    distinct = np.unique(values)
    shown = distinct if len(distinct) <= _FEW else np.unique(np.quantile(values, _SHOWN, method="inverted_cdf"))
    return [(f"{value:.6g}", float(value)) for value in shown]


def _bins(edges: list[float]) -> list[tuple[str, Any]]:
    """(label, a value inside) of the bins that rising inner edges cut."""
    edges = [edge for edge in edges if math.isfinite(edge)]
    if not edges:
        return [("all", 0.0)]
    inner = [(f"{low:.6g} to {high:.6g}", (low + high) / 2) for low, high in pairwise(edges)]
    return [
        (f"below {edges[0]:.6g}", edges[0] - abs(edges[0]) - 1.0),
        *inner,
        (f"above {edges[-1]:.6g}", edges[-1] + abs(edges[-1]) + 1.0),
    ]


def _rows(source: str, values: list[Any], *, numeric: bool) -> FeatureTable:
    """A table of this one column."""
    return FeatureTable(
        ids=Ids.of([""] * len(values)),
        periods=None,
        numeric={source: np.array(values, np.float64)} if numeric else {},
        categorical={} if numeric else {source: np.array(values, object)},
    )
