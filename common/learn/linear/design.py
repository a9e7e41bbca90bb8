"""A party's own columns as the linear model trains on them: whitened over its training rows. PROTOCOL.md section 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.disk.scratch import Scratch
from common.features.bins import BinnedColumn
from common.features.options import Preparation
from common.learn.design import INTERCEPT, PreparedRows, penalised, prepare_rows
from common.learn.leverage import LARGEST
from common.mpc.fixedpoint import RIDGE_SCALE, X_LIMIT, Reals, Words, encode
from common.mpc.product import Rows
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable


@dataclass(frozen=True, repr=False)
class Prepared(PreparedRows):
    """Prepared rows, and what whitens them over those that train, (m, m)."""

    whiten: Reals

    @property
    def penalty(self) -> Reals:
        """W^T D W, (m, m): what the ridge is on whitened weights."""
        found: Reals = self.whiten.T @ np.diag(penalised(self.columns).astype(np.float64)) @ self.whiten
        return found

    def encoded(self, rows: int, ridge: float, step: float, scratch: Scratch | None = None) -> tuple[Rows, Words, list[str]]:
        """The first `rows` rows whitened at X_SCALE, int32 (rows, m), and step * ridge * W^T D W at RIDGE_SCALE; warnings.

        Both are column-major; the rows may be in a file of `scratch`.
        """
        words, beyond = self.words(rows, self.whiten, scratch)
        warnings = []
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
    """As `prepare_rows`, with the whitening, which leaves the bank's column of ones as it is: the others have mean 0."""
    made, whiten, warnings = prepare_rows(table, columns, options, train_rows, ridge, party, binned, leverage, room)
    if party is Party.BANK:
        whiten[:, -1] = np.arange(len(whiten)) == len(whiten) - 1  # but for what rounding and the whitening's floor make of it
    return Prepared(made.fitted, made.table, made.party, made.columns, whiten), warnings
