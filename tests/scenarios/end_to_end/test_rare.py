"""3 % overdue, the last months held out, from monthly records: as good as the pooled optimum, calibrated, or warned of.

The full size is `python -m tests.bench rare`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bank_party.judge.converged import PUBLIC
from common.trial.processes import Trial
from tests.bench.rare import exact, outcome, rare_datasets, rare_plan
from tests.scenarios.end_to_end.lab import succeed

RARE = {"step": 5.0, "iterations": 20}  # what README.md recommends


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return rare_datasets(tmp_path_factory.mktemp("rare"), 30_000, 0.03)


@pytest.fixture(scope="module")
def trial(datasets: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with Trial(tmp_path_factory.mktemp("trial"), datasets) as trial:
        yield trial


def chance(curve: list[dict[str, float]]) -> float:
    """The calibration error that probabilities which are right would show on as many rows, on average."""
    rows, p = np.array([bin["rows"] for bin in curve]), np.array([bin["expected"] for bin in curve])
    return float((rows * np.sqrt(2 / np.pi * p * (1 - p) / rows)).sum() / rows.sum())


def test_rare_defaults_reach_the_pooled_optimum_and_are_calibrated(trial: Trial, datasets: dict[str, Any]) -> None:
    with trial.client() as client:
        found = outcome(trial, succeed(client, rare_plan(**RARE)))
    best = exact(datasets)
    assert 25_000 < found["rows"] < 35_000 and found["test_rows"] == found["rows"] // 6
    assert found["auc"] == pytest.approx(best["auc"], abs=0.003)
    assert found["logloss"] == pytest.approx(best["logloss"], abs=0.0005)
    assert found["auc"] > found["bank_only_auc"] + 0.05
    assert found["calibration_error"] <= 0.005 + chance(found["curve"]) and not found["warnings"]


def test_a_training_that_was_stopped_too_early_is_noticed(trial: Trial) -> None:
    with trial.client() as client:
        found = outcome(trial, succeed(client, rare_plan(iterations=10, step=0.5)))
    assert found["warnings"] == [PUBLIC]
