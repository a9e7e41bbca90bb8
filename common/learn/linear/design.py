"""From a party's matched rows to what it trains on: fitted on its training rows, by itself, whitened. PROTOCOL.md section 6."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.disk.scratch import Scratch
from common.errors import DataError
from common.features.bins import BinnedColumn
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.features.pieces import is_piece
from common.learn.linear.leverage import LARGEST, without_leverage
from common.mpc.fixedpoint import (
    MOMENTUM_SCALE,
    UPDATE_SCALE,
    WEIGHT_SCALE,
    X_LIMIT,
    X_SCALE,
    Reals,
    Words,
    check_range,
    encode,
)
from common.mpc.product import Rows
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

_BLOCK = 1 << 14  # rows encoded at a time, so that temporaries stay in the cache
RIDGE_SCALE = UPDATE_SCALE - WEIGHT_SCALE - MOMENTUM_SCALE


@dataclass(frozen=True, repr=False)
class Prepared:
    """One party's preparation of all matched rows, training rows first, and its whitening over those.

    whiten: (m, m). columns: m names, the bank's intercept last.
    """

    fitted: FittedPreparation
    table: FeatureTable
    party: Party
    whiten: Reals
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

    @property
    def penalty(self) -> Reals:
        """W^T D W, (m, m): what the ridge is on whitened weights."""
        found: Reals = self.whiten.T @ np.diag(penalised(self.columns).astype(np.float64)) @ self.whiten
        return found

    def encoded(self, rows: int, ridge: float, step: float, scratch: Scratch | None = None) -> tuple[Rows, Words, list[str]]:
        """The first `rows` rows whitened at X_SCALE, int32 (rows, m), and step * ridge * W^T D W at RIDGE_SCALE; warnings.

        Both are column-major; the rows may be in a file of `scratch`.
        """
        words = (scratch or Scratch()).empty((rows, len(self.columns)), np.int32)
        beyond, warnings = 0, []
        for low in range(0, rows, _BLOCK):
            high = min(rows, low + _BLOCK)
            whitened, held = check_range(self.matrix(low, high) @ self.whiten, X_LIMIT)
            words[low:high] = encode(whitened, X_SCALE).view(np.int64)
            beyond += held
        if beyond:
            warnings.append(
                f"{beyond} whitened values lay beyond {X_LIMIT:.0f} and were held there; clip or log the columns they come from"
            )
        pull = np.asfortranarray(encode(step * ridge * self.penalty, RIDGE_SCALE))
        return words, pull, warnings

    def start(self, label: Reals | None) -> Reals:
        """Whitened weights to begin from: at the bank the intercept of the overdue rate of its training rows, else zero.

        Its share of its own weights is never sent unmasked, so this shows the rate to nobody.
        """
        weights = np.zeros(len(self.columns))
        if label is not None:
            rate = float(label.mean())
            weights[self.columns.index(INTERCEPT)] = np.log(rate / (1.0 - rate))
        return np.asarray(np.linalg.solve(self.whiten, weights), np.float64)


INTERCEPT = "(intercept)"


def penalised(columns: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([name != INTERCEPT for name in columns])


def design(fitted: FittedPreparation, table: FeatureTable, party: Party) -> Reals:
    """The matrix that weights multiply: prepared columns, and the bank's intercept."""
    matrix = fitted.transform(table)
    if party is Party.BANK:
        matrix = np.asfortranarray(np.column_stack([matrix, np.ones(table.rows)]))
    return matrix


def prepare(
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    train_rows: int,
    ridge: float,
    party: Party,
    binned: Sequence[BinnedColumn] = (),
    leverage: float = LARGEST,
    room: int = 0,
) -> tuple[Prepared, list[str]]:
    """`table`: matched rows, training rows first. Warnings name the columns left out, but for pieces of others.

    binned: the columns to train on, where the coding is bins or woe. leverage: the largest of a training row. room: as
    `fit` says. Raises DataError if no column is left.
    """
    train = np.arange(table.rows) < train_rows
    fitted, warnings = fit(table, columns, options, train, binned, room)
    names = (*fitted.columns, INTERCEPT) if party is Party.BANK else fitted.columns
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
    return Prepared(fitted, table, party, kept.whiten, tuple(names[k] for k in kept.places)), warnings


def _single_out(name: str, share: float) -> str:
    return (
        f"left out {name!r}: with the columns before it, it gives one training row {share:.0%} of a column's weight, from which"
        " the label of that row could be read; declare transform = 'signed_log', or bring more rows"
    )
