"""The pooled plaintext fit: the oracle of the end-to-end tests, held to an independent one here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from common.plan.linear import Model
from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig
from common.trial.compare import _fit, pooled
from tests.scenarios.end_to_end.lab import make_tables, monthly

ROWS = 400


def configs(folder: Path, grid: pd.DataFrame, bank: pd.DataFrame, **keys: Any) -> tuple[DatasetConfig, DatasetConfig]:
    grid.to_csv(folder / "grid.csv", index=False)
    bank.to_csv(folder / "bank.csv", index=False)
    common = {"id": "id", **keys}
    return (
        DatasetConfig.model_validate({"path": folder / "grid.csv", **common}),
        DatasetConfig.model_validate({"path": folder / "bank.csv", "label": "y", **common}),
    )


def plan(**fields: Any) -> TrainPlan:
    return TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, **fields})


@pytest.mark.parametrize("ridge", [0.0, 1e-4, 0.3])
def test_the_fit_is_the_optimum_of_the_stated_loss(ridge: float) -> None:
    draw = np.random.default_rng(3)
    x = draw.standard_normal((ROWS, 4))
    y = (draw.random(ROWS) < 1.0 / (1.0 + np.exp(1.0 - x @ [1.0, -0.5, 0.2, 0.0]))).astype(float)
    design = np.column_stack([np.ones(ROWS), x])

    def loss(beta: np.ndarray[Any, Any]) -> float:
        u = design @ beta
        return float(np.mean(np.logaddexp(0.0, u) - y * u) + ridge / 2 * beta[1:] @ beta[1:])

    exact = minimize(loss, np.zeros(5), tol=1e-12).x
    assert _fit(x, y, Model(ridge=ridge), x[:50]) == pytest.approx(design[:50] @ exact, abs=1e-4)


def test_a_split_holds_out_its_share_and_another_seed_other_rows(tmp_path: Path) -> None:
    files = configs(tmp_path, *make_tables("T", ROWS, grid_columns=4))
    assert pooled(plan(split={"seed": 1}), *files) == pooled(plan(split={"seed": 1}), *files)
    assert pooled(plan(split={"seed": 1}), *files) != pooled(plan(split={"seed": 2}), *files)


def test_neither_order_nor_spelling_nor_strangers_change_it(tmp_path: Path) -> None:
    grid, bank = make_tables("T", ROWS, grid_columns=4)
    once = pooled(plan(), *configs(tmp_path, grid, bank))
    strangers = make_tables("X", 30, grid_columns=4)[0]
    other = pd.concat([grid.assign(id=grid["id"].str.lower() + " "), strangers]).sample(frac=1, random_state=5)
    again = pooled(plan(), *configs(tmp_path, other, bank.sample(frac=1, random_state=6)))
    assert again.auc == pytest.approx(once.auc, abs=1e-6) and again.logloss == pytest.approx(once.logloss, abs=1e-6)


def test_months_are_matched_too(tmp_path: Path) -> None:
    grid, bank = make_tables("T", 600, grid_columns=4)
    months, later = ["2024-01", "2024-02", "2024-03"], ["2024-02", "2024-03", "2024-04"]
    files = configs(tmp_path, monthly(grid, months), monthly(bank, later), period="month")
    assert 0.5 < pooled(plan(keys=["id", "period"]), *files).auc < 1.0
