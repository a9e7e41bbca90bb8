"""From a party's matched rows to columns it can train on: fitted on its training rows, by itself. PROTOCOL.md section 6."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.disk.scratch import Scratch
from common.errors import DataError
from common.features.bins import BinnedColumn
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.features.pieces import is_piece
from common.learn.leverage import LARGEST, without_leverage
from common.mpc.fixedpoint import X_LIMIT, X_SCALE, Reals, check_range
from common.mpc.product import Rows
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

_BLOCK = 1 << 14  # rows encoded at a time, so that temporaries stay in the cache
INTERCEPT = "(intercept)"


@dataclass(frozen=True, repr=False)
class PreparedRows:
    """One party's preparation of all matched rows, training rows first. columns: m names, the bank's intercept last."""

    fitted: FittedPreparation
    table: FeatureTable
    party: Party
    columns: tuple[str, ...]

    def matrix(self, low: int, high: int) -> Reals:
        """Rows low to high standardised, float64 (high - low, m); at the bank with a last column of ones."""
        return design(self.fitted, self.table.part(low, high), self.party)

    def means(self, rows: int) -> Reals:
        """The mean of each column of the matrix over the first `rows` rows, (m,)."""
        total = np.zeros(len(self.columns))
        for low in range(0, rows, _BLOCK):
            total += self.matrix(low, min(rows, low + _BLOCK)).sum(axis=0)
        return total / rows

    def words(self, rows: int, turned: Reals | None = None, scratch: Scratch | None = None) -> tuple[Rows, int]:
        """The first `rows` rows at X_SCALE, int32 (rows, m) column-major; how many values were held at X_LIMIT.

        turned: (m, m), what rows are multiplied by before, if they are. The words may be in a file of `scratch`.
        """
        words, beyond = (scratch or Scratch()).empty((rows, len(self.columns)), np.int32, rows=True), 0
        unit = 2.0**X_SCALE  # it rounds nothing, so it may be multiplied first
        by = None if turned is None else np.ascontiguousarray((turned * unit).T)
        for low in range(0, rows, _BLOCK):
            high = min(rows, low + _BLOCK)
            block = self.matrix(low, high).T  # each column in one piece, as in the words
            values, held = check_range(block * unit if by is None else by @ block, X_LIMIT * unit)
            words[low:high] = np.rint(values, out=values).T
            beyond += held
        return words, beyond


def penalised(columns: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([name != INTERCEPT for name in columns])


def columns_of(fitted: FittedPreparation, party: Party) -> tuple[str, ...]:
    """Names of the prepared columns, the bank's intercept last."""
    return (*fitted.columns, INTERCEPT) if party is Party.BANK else fitted.columns


def design(fitted: FittedPreparation, table: FeatureTable, party: Party) -> Reals:
    """The matrix that weights multiply: prepared columns, and the bank's intercept."""
    if party is Party.GRID:
        return fitted.transform(table)
    matrix = np.empty((table.rows, len(fitted.fitted) + 1), order="F")
    fitted.transform(table, matrix[:, :-1])
    matrix[:, -1] = 1.0
    return matrix


def prepare_rows(
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    train_rows: int,
    ridge: float,
    party: Party,
    binned: Sequence[BinnedColumn] = (),
    leverage: float = LARGEST,
    room: int = 0,
    least: float = 0.0,
) -> tuple[PreparedRows, Reals, list[str]]:
    """`table`: matched rows, training rows first. Also what whitens them, (m, m); warnings name the columns left out.

    binned: the columns to train on, where the coding is bins or woe. leverage: the largest of a training row. room, least:
    as `fit` says. Of pieces of others no warning says that they are left out. Raises DataError if no column is left.
    """
    train = np.arange(table.rows) < train_rows
    fitted, warnings = fit(table, columns, options, train, binned, room, least)
    names = columns_of(fitted, party)
    whole, lows = fitted, range(0, train_rows, _BLOCK)

    def parts() -> Iterator[Reals]:
        return (design(whole, table.part(low, min(train_rows, low + _BLOCK)), party) for low in lows)

    kept = without_leverage(parts, penalised(names), ridge, leverage)
    if kept.left_out:
        fitted = FittedPreparation(fitted=tuple(whole.fitted[k] for k in kept.places if k < len(whole.fitted)))
        warnings += [_single_out(names[k], share) for k, share in kept.left_out if not is_piece(whole.fitted[k], names)]
    if not fitted.fitted:
        message = "no column is left to train on: each singles out few rows"
        raise DataError(message, public=message, remedy="Declare other columns, log or clip them, or bring more rows.")
    return PreparedRows(fitted, table, party, tuple(names[k] for k in kept.places)), kept.whiten, warnings


def _single_out(name: str, share: float) -> str:
    return (
        f"left out {name!r}: with the columns before it, it gives one training row {share:.0%} of a column's weight, from which"
        " the label of that row could be read; declare transform = 'signed_log', or bring more rows"
    )
