"""The pooled plaintext fit, for development only: it puts both tables into one process, as WattScore exists not to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from common.features.pieces import room
from common.learn.linear.design import prepare
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig, DatasetConfig, read_table
from common.rows.table import FeatureTable, Index
from common.stages import split
from common.stages.counts import columns_in_clear
from common.stages.sizes import too_few
from common.stats import measures
from common.stats.measures import Metrics


def pooled(plan: TrainPlan, grid: DatasetConfig, bank: DatasetConfig) -> Metrics:
    """Held-out metrics of scikit-learn's exact fit on pooled data: same rows, split, preparation.

    Of boosted trees, those of its gradient boosting on the raw columns, which grows other trees.
    """
    tables = {
        Party.GRID: read_table(grid, name=plan.grid.dataset, party=Party.GRID),
        Party.BANK: read_table(bank, name=plan.bank.dataset, party=Party.BANK, require_label=True),
    }
    grid_rows, bank_rows = _matched(tables[Party.GRID].table, tables[Party.BANK].table)
    rows = {Party.GRID: tables[Party.GRID].table.take(grid_rows), Party.BANK: tables[Party.BANK].table.take(bank_rows)}
    test = split.draw(rows[Party.BANK], plan.split)
    order = np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)])
    train = int((~test).sum())
    label = rows[Party.BANK].label
    assert label is not None  # noqa: S101
    most = room(train, plan.limits.rows_per_column)
    tables_in_order = {p: (rows[p].take(order), tables[p].columns) for p in Party}
    if isinstance(plan.model, Trees):
        x, y = np.column_stack([_raw(*tables_in_order[p]) for p in Party]), label[order]
        return measures.evaluate(y[train:], _boosted(x[:train], y[:train], x[train:]))
    parts = [_prepared(plan, *tables_in_order[p], label[order][:train], p, most) for p in Party]
    if plan.preparation.coding == "auto" and too_few(train, sum(part.shape[1] for part in parts), plan.limits):
        parts = [_prepared(plan, *tables_in_order[p], label[order][:train], p, 0) for p in Party]
    x, y = np.column_stack([parts[0], parts[1][:, :-1]]), label[order]
    return measures.evaluate(y[train:], _fit(x[:train], y[:train], plan.model.ridge, x[train:]))


def _raw(table: FeatureTable, columns: dict[str, ColumnConfig]) -> Reals:
    """Columns as they are, categories as numbers of their levels, missing values as NaN; (n, m)."""
    found = []
    for name, column in columns.items():
        if column.kind == "numeric":
            found.append(table.numeric[name])
        else:
            codes = pd.Categorical(table.categorical[name]).codes.astype(np.float64)
            found.append(np.where(codes < 0, np.nan, codes))
    return np.column_stack(found)


def _boosted(x: Reals, y: Reals, held: Reals) -> Reals:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    scores: Reals = model.fit(x, y).decision_function(held)
    return scores


def _prepared(
    plan: TrainPlan, table: FeatureTable, columns: dict[str, ColumnConfig], label: Reals, party: Party, most: int
) -> Reals:
    options, ridge = plan.preparation, 0.0 if isinstance(plan.model, Trees) else plan.model.ridge
    binned = columns_in_clear(table, columns, options, label)
    return prepare(table, columns, options, len(label), ridge, party, binned, room=most)[0].matrix(0, table.rows)


def _fit(x: Reals, y: Reals, ridge: float, held: Reals) -> Reals:
    from sklearn.linear_model import LogisticRegression

    # Newton's steps: pieces are of smaller deviations than lines, where lbfgs takes thousands.
    penalty = 1.0 / (len(y) * ridge) if ridge else np.inf
    model = LogisticRegression(C=penalty, tol=1e-8, max_iter=1_000, solver="newton-cholesky")
    scores: Reals = model.fit(x, y).decision_function(held)
    return scores


def _matched(grid: FeatureTable, bank: FeatureTable) -> tuple[Index, Index]:
    """Rows of the same (id, period) at both."""
    keys = [_keys(table) for table in (grid, bank)]
    _, first, second = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    return first.astype(np.int64), second.astype(np.int64)


def _keys(table: FeatureTable) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    periods = np.zeros(table.rows, np.int32) if table.periods is None else table.periods
    return np.array([f"{i}|{p}" for i, p in zip(table.ids, periods, strict=True)])
