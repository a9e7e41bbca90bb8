"""The pooled plaintext fit, for development only: it puts both tables into one process, as WattScore exists not to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from common.features.pieces import room
from common.learn.design import prepare_rows
from common.learn.network.steps import batch_rows
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.network import Network
from common.plan.sections import AnySection
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig, DatasetConfig, read_table
from common.rows.table import FeatureTable, Index
from common.stages import split
from common.stages.counts import columns_in_clear
from common.stages.sizes import too_few
from common.stats import measures
from common.stats.metrics import Metrics


def pooled(plan: TrainPlan, grid: DatasetConfig, bank: DatasetConfig) -> Metrics:
    """Held-out metrics of scikit-learn's fit on pooled data: same rows, split, preparation.

    Exact for the linear model; for a network, one of as many units that takes ReLU for the sine, and Adam; for trees, as many
    of that depth, each grown node by node, on the raw columns.
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
        return measures.evaluate(y[train:], _fit(x[:train], y[:train], plan.model, x[train:]))
    parts = [_prepared(plan, *tables_in_order[p], label[order][:train], p, most) for p in Party]
    if plan.preparation.coding == "auto" and too_few(train, sum(part.shape[1] for part in parts), plan.limits):
        parts = [_prepared(plan, *tables_in_order[p], label[order][:train], p, 0) for p in Party]
    x, y = np.column_stack([parts[0], parts[1][:, :-1]]), label[order]
    return measures.evaluate(y[train:], _fit(x[:train], y[:train], plan.model, x[train:]))


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


def _prepared(
    plan: TrainPlan, table: FeatureTable, columns: dict[str, ColumnConfig], label: Reals, party: Party, most: int
) -> Reals:
    options = plan.preparation
    binned = columns_in_clear(table, columns, options, label)
    return prepare_rows(table, columns, options, len(label), 0.0, party, binned, room=most, least=plan.model.pieces)[0].matrix(
        0, table.rows
    )


def _fit(x: Reals, y: Reals, section: AnySection, held: Reals) -> Reals:
    if isinstance(section, Network):
        return _network(x, y, section, held)
    if isinstance(section, Trees):
        return _trees(x, y, section, held)
    from sklearn.linear_model import LogisticRegression

    ridge = section.ridge

    # Newton's steps: pieces are of smaller deviations than lines, where lbfgs takes thousands.
    penalty = 1.0 / (len(y) * ridge) if ridge else np.inf
    model = LogisticRegression(C=penalty, tol=1e-8, max_iter=1_000, solver="newton-cholesky")
    scores: Reals = model.fit(x, y).decision_function(held)
    return scores


def _network(x: Reals, y: Reals, section: Network, held: Reals) -> Reals:
    from sklearn.neural_network import MLPClassifier

    sizes, batch = (section.hidden,), batch_rows(section, len(y))
    model = MLPClassifier(sizes, alpha=section.decay, batch_size=batch, max_iter=max(30, section.epochs), random_state=0)
    p = np.clip(model.fit(x, y).predict_proba(held)[:, 1], 1e-12, 1.0 - 1e-12)
    scores: Reals = np.log(p / (1.0 - p))
    return scores


def _trees(x: Reals, y: Reals, section: Trees, held: Reals) -> Reals:
    from sklearn.ensemble import HistGradientBoostingClassifier

    size = {"max_iter": section.trees, "max_depth": section.depth, "learning_rate": section.rate}
    model = HistGradientBoostingClassifier(**size, early_stopping=False, random_state=0)
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
