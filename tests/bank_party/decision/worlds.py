"""A small bank with a fitted preparation, and scores of it: what the tests of this folder share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bank_party.decision.bundle import HeldOut
from bank_party.decision.config import DecisionConfig
from bank_party.decision.rules import Scores, Trained, build_rules
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable, Ids
from common.stats.logistic import fit_logistic
from common.stats.measures import sigmoid
from tests.reference import standard_errors

Vector = npt.NDArray[np.float64]
COLUMNS = {
    "income": ColumnConfig(kind="numeric", transform="signed_log"),
    "debt": ColumnConfig(kind="numeric"),
    "listed": ColumnConfig(kind="numeric"),
    "region": ColumnConfig(kind="categorical"),
}


def bank(rows: int, seed: int = 5) -> tuple[FeatureTable, Vector]:
    """The bank's table with labels, and the grid's part of u, (n,); a tenth of incomes is missing."""
    rng = np.random.default_rng(seed)
    income = np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(3, 1, rows))
    debt, grid = rng.normal(size=rows), rng.normal(size=rows)
    region = rng.choice(np.array(["north", "south", "west", None], object), rows, p=[0.5, 0.2, 0.2, 0.1])
    label = (rng.random(rows) < sigmoid(0.8 * debt + 1.2 * grid + (region == "west") - 2.0)).astype(np.float64)
    columns = {"income": income, "debt": debt, "listed": (rng.random(rows) < 0.3).astype(np.float64)}
    ids = Ids.of([f"F{k:06d}" for k in range(rows)])
    periods = np.full(rows, 2024 * 12, np.int32)
    return FeatureTable(ids, periods, columns, {"region": region}, label, tuple(COLUMNS)), grid


def prepared(table: FeatureTable) -> FittedPreparation:
    return fit(table, COLUMNS, Preparation(min_binary=5), np.ones(table.rows, np.bool_))[0]


def held_out(rows: int = 4000, **config: Any) -> tuple[HeldOut, list[str]]:
    """The bundle of a bank of whose rows the first half trains; warnings."""
    table, grid = bank(rows)
    fitted = prepared(table.take(np.arange(rows // 2)))
    x = fitted.transform(table)
    train, held = np.arange(rows // 2), np.arange(rows // 2, rows)
    assert table.label is not None
    alone = fit_logistic(x[train], table.label[train], 1e-4)
    joint = np.append(alone[1:] * 1.1, -2.0)
    error = standard_errors(x[train], alone, 1e-4)
    model = Trained(
        fitted.fitted,
        joint,
        x[train].mean(axis=0),
        np.roll(alone, -1),
        np.roll(error, -1),
        np.zeros(len(joint)),
        table.take(train),
    )
    own = x[held] @ joint[:-1] + joint[-1]
    scores = Scores(own + 1.2 * grid[held], own, alone[0] + x[held] @ alone[1:])
    validation = np.arange(rows - rows // 2) % 5 < 2
    return build_rules("job-1", DecisionConfig.model_validate(config), model, table.take(held), scores, validation)
