"""From a party's matched rows to the thresholds that trees split by, from its training rows alone. PROTOCOL.md section 14."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from common.errors import DataError, PlanError
from common.features.binning import Binning, cut
from common.features.bins import BinnedColumn, Cells
from common.features.column import MISSING_LEVEL
from common.features.fit import FittedPreparation
from common.features.options import Preparation
from common.features.pooled_cuts import name_of
from common.learn.learner import Matched
from common.learn.trees.order import DECREASING, INCREASING, NONE, Directions
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes
from common.party import Party
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

INTERCEPT = "(intercept)"
_BLOCK = 1 << 14
_LEVELS = 2  # of a category are kept for each bin of a number
_FEW_LEVELS = 3  # of which each is told from all others
_LEFT_OUT = "no column is left to train on: each has one bin only"
_AS_CODED = ("linear", "auto", "woe")


@dataclass(frozen=True, repr=False)
class Prepared:
    """One party's thresholds over all matched rows, training rows first. columns: their names, the bank's intercept last.

    declared: the table's columns as declared or inferred.
    """

    fitted: FittedPreparation
    table: FeatureTable
    party: Party
    declared: Mapping[str, ColumnConfig] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return named(self.fitted, self.party)

    def matrix(self, low: int, high: int) -> Reals:
        """Rows low to high: each threshold's 1 or 0 standardised, (high - low, m); at the bank with a last column of ones."""
        matrix = self.fitted.transform(self.table.part(low, high))
        return matrix if self.party is Party.GRID else np.column_stack([matrix, np.ones(high - low)])

    def means(self, rows: int) -> Reals:
        """The mean of each column of the matrix over the first `rows` rows, (m,)."""
        total = np.zeros(len(self.columns))
        for low in range(0, rows, _BLOCK):
            total += self.matrix(low, min(rows, low + _BLOCK)).sum(axis=0)
        return total / rows


def named(fitted: FittedPreparation, party: Party) -> tuple[str, ...]:
    """The thresholds' names, and the bank's intercept."""
    return (*fitted.columns, INTERCEPT) if party is Party.BANK else fitted.columns


def below(fitted: FittedPreparation, table: FeatureTable) -> Bytes:
    """(thresholds, n) of 0 and 1: which rows lie at or below each. Raises DataError as `Cells.of` does."""
    out: Bytes = np.empty((len(fitted.fitted), table.rows), np.uint8)
    cells: Cells | None = None
    codes = np.empty(0, np.int16)
    for row, column in zip(out, fitted.fitted, strict=True):
        assert isinstance(column, BinnedColumn)  # noqa: S101
        if column.cells != cells:
            cells = column.cells
            codes = cells.of(table)
        row[:] = np.array(column.values, np.uint8)[codes]
    return out


def prepare(section: Trees, rows: Matched, options: Preparation) -> tuple[Prepared, list[str]]:
    """This party's thresholds: at most `section.bins` - 1 a column, fewer where training rows are few; and warnings.

    Of each, at least as many training rows lie on either side as a bin must have. Raises PlanError for another coding,
    DataError if no threshold is left.
    """
    if options.coding not in _AS_CODED:
        raise PlanError(
            f"boosted trees cut columns by themselves: preparation.coding = {options.coding!r} is not for them",
            remedy="Leave `coding` out, or use 'woe' to order categories by weight of evidence.",
        )
    check_monotone(section, rows.columns, options)
    train = np.arange(rows.table.rows) < rows.train_rows
    warnings: list[str] = []
    if options.coding == "woe":
        found = [threshold for column in rows.binned for threshold in _by_value(column, rows, train)]
    else:
        found, warnings = _cut(section.bins, rows.table, rows.columns, options, train, rows.room)
    if not found:
        raise DataError(_LEFT_OUT, public=_LEFT_OUT, remedy="Declare other columns, or bring more rows.")
    return Prepared(FittedPreparation(fitted=tuple(found)), rows.table, rows.party, rows.columns), warnings


def check_monotone(section: Trees, columns: Mapping[str, ColumnConfig], options: Preparation) -> None:
    """Raises PlanError for columns declared monotone which the plan's trees do not keep to."""
    declared = [name for name, column in columns.items() if column.monotone is not None]
    if not declared:
        return
    if not section.monotone:
        raise PlanError(
            f"column {declared[0]!r} is declared monotone, and the plan's trees do not keep to that",
            public="columns of this side are declared monotone, and the plan's trees do not keep to that",
            remedy="Write monotone = true in [model] of the plan, or have their owner take `monotone` out of its dataset.",
        )
    if options.coding == "woe":
        raise PlanError(
            f"column {declared[0]!r} is declared monotone, and coding = 'woe' orders its bins by weight of evidence",
            public="columns of this side are declared monotone, and coding = 'woe' orders bins by weight of evidence",
            remedy="Leave `coding` out of [preparation].",
        )


def directions(fitted: FittedPreparation, columns: Mapping[str, ColumnConfig]) -> Directions:
    """Of each threshold in which direction its column is declared to go, (thresholds,); that of missing values in none."""
    found = np.full(len(fitted.fitted), NONE, np.uint8)
    for k, threshold in enumerate(fitted.fitted):
        assert isinstance(threshold, BinnedColumn)  # noqa: S101
        declared = columns[threshold.source].monotone
        if declared is not None and any(threshold.values[:-1]):
            found[k] = INCREASING if declared == "increasing" else DECREASING
    return found


def _cut(
    bins: int,
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    train: npt.NDArray[np.bool_],
    room: int,
) -> tuple[list[BinnedColumn], list[str]]:
    """Thresholds of all columns, at most `room` of them unless two bins of each are more already."""
    while True:
        binnings = cut(table, columns, options.model_copy(update={"bins": bins}), train, _LEVELS * bins)
        found = [threshold for b in binnings if not b.left_out for threshold in _thresholds(b)]
        if not room or len(found) <= room or bins == 2:
            return found, [f"left out {b.cells.source!r}: {b.left_out}" for b in binnings if b.left_out]
        bins = max(2, min(bins - 1, bins * room // len(found)))


def _thresholds(binning: Binning) -> Iterator[BinnedColumn]:
    cells, rows = binning.cells, binning.rows
    if cells.levels is not None:
        groups = binning.groups[1:] if len(binning.groups) == 2 else binning.groups
        for k, members in enumerate(binning.groups):
            if members in groups:
                yield _column(f"{cells.source}={binning.label(k)}", cells, members, rows)
        for k, members in enumerate(_halves(binning), 1):
            yield _column(f"{cells.source} in half {k}", cells, members, rows)
        return
    missing = cells.count - 1
    ranges = sorted((members for members in binning.groups if members != (missing,)), key=min)
    apart = [(missing,)] if (missing,) in binning.groups else []
    lower: tuple[int, ...] = apart[0] if apart else ()
    for members in ranges[:-1]:
        lower += members
        last = max(k for k in members if k != missing)
        yield _column(f"{cells.source}<{cells.edges[last]:.12g}", cells, lower, rows)
    if apart:
        yield _column(f"{cells.source}={MISSING_LEVEL}", cells, apart[0], rows)


def pooled_thresholds(cells: Cells, apart: bool, table: FeatureTable, train_rows: int) -> list[BinnedColumn]:
    """Those of one bank's column that several banks cut alike, over its own rows. apart: whether missing values are told."""
    missing, rows = cells.count - 1, np.bincount(cells.of(table.part(0, train_rows)), minlength=cells.count)
    found = [
        _column(f"{cells.source}{name_of(edge)}", cells, (missing, *range(k + 1)), rows) for k, edge in enumerate(cells.edges)
    ]
    return found + ([_column(f"{cells.source}={MISSING_LEVEL}", cells, (missing,), rows)] if apart else [])


def _halves(binning: Binning) -> list[tuple[int, ...]]:
    """Halves of a category's levels, at most as many as it has levels: a tree that can tell but one level apart learns slowly.

    By hashes of their names: no label is asked, and the same levels are halved alike again. None of two or three levels.
    """
    count, found, seen = len(binning.groups), list[tuple[int, ...]](), set[frozenset[int]]()
    names = [binning.label(k) for k in range(count)]
    for number in range(count if count > _FEW_LEVELS else 0):
        order = sorted(range(count), key=lambda k: hashlib.blake2b(f"{number}/{names[k]}".encode()).digest())
        half, rest = frozenset(order[: count // 2]), frozenset(order[count // 2 :])
        if half not in seen:
            seen |= {half, rest}
            found.append(tuple(cell for k in sorted(half) for cell in binning.groups[k]))
    return found


def _by_value(column: BinnedColumn, rows: Matched, train: npt.NDArray[np.bool_]) -> Iterator[BinnedColumn]:
    """A threshold between neighbouring values of a column that has a number for each cell."""
    codes = column.cells.of(rows.table.part(0, int(train.sum())))
    counts = np.bincount(codes, minlength=column.cells.count)
    for value in sorted(set(column.values))[:-1]:
        members = tuple(k for k, at in enumerate(column.values) if at <= value)
        if 0 < counts[list(members)].sum() < len(codes):
            yield _column(f"{column.source}<={value:.6g}", column.cells, members, counts)


def _column(name: str, cells: Cells, members: Sequence[int], rows: npt.NDArray[np.int64]) -> BinnedColumn:
    """The indicator of these cells, of mean 0 and deviation 1 over training rows, of which each cell has `rows`.

    Where all of one bank's rows lie on one side of a threshold of several, of mean 0.
    """
    values = np.zeros(cells.count)
    values[list(members)] = 1.0
    share = float(values @ rows / rows.sum())
    spread = float(np.sqrt(share * (1.0 - share)))
    return BinnedColumn(name=name, cells=cells, values=tuple(values.tolist()), centre=share, spread=spread or 1.0)
