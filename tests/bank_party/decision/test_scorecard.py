"""Points: their sum is the score and so the calibrated probability, for every row; tables by bin and value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank_party.decision.calibrate import Calibration, calibrate
from bank_party.decision.config import DecisionConfig
from bank_party.decision.scorecard import Scorecard, make_scorecard, sources
from common.features.bins import BinnedColumn, Cells
from common.features.column import MISSING_LEVEL
from common.features.contributions import contributions
from common.features.fit import FittedPreparation
from common.stats.measures import sigmoid
from tests.bank_party.decision.worlds import bank, prepared

TABLE, GRID = bank(600)
FITTED = prepared(TABLE)
X = FITTED.transform(TABLE)
WEIGHTS = np.append(np.linspace(-0.9, 1.1, X.shape[1]), -2.5)
OWN = X @ WEIGHTS[:-1] + WEIGHTS[-1]
U = OWN + 1.3 * GRID


def card(calibration: Calibration, **config: Any) -> Scorecard:
    return make_scorecard(DecisionConfig(**config), calibration, FITTED.fitted, WEIGHTS, X.mean(axis=0), TABLE)


def points(made: Scorecard, calibration: Calibration) -> np.ndarray:
    groups = [made.columns.index(column.source) for column in FITTED.fitted]
    own = contributions(X, WEIGHTS[:-1], np.array(made.means), groups, len(made.columns))
    return made.points(own, 1.3 * GRID, U, calibration)


def some(method: str) -> Calibration:
    assert TABLE.label is not None
    return calibrate(U, TABLE.label, method)  # type: ignore[arg-type]


def test_the_convention() -> None:
    """600 points at 50 good to 1 bad, 20 more double the odds."""
    made = card(some("none"))
    odds = np.array([50.0, 100.0, 25.0, 1.0])
    np.testing.assert_allclose(made.exact(-np.log(odds)), [600, 620, 580, 600 - 20 * math.log2(50)])
    np.testing.assert_array_equal(made.score(-np.log(odds)), [600, 620, 580, 487])
    np.testing.assert_allclose(made.log_odds(made.exact(U)), U)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["platt", "isotonic", "none"]),
    st.floats(5, 200),
    st.floats(-1000, 1000),
    st.floats(0.01, 1000),
)
def test_the_sum_of_points_reproduces_the_calibrated_probability(method: str, pdo: float, base: float, odds: float) -> None:
    calibration = some(method)
    made = card(calibration, pdo=pdo, base_score=base, base_odds=odds)
    given_points, p = points(made, calibration), calibration.probability(U)
    np.testing.assert_allclose(sigmoid(made.log_odds(given_points.sum(axis=1))), p, rtol=1e-9)
    score = made.score(calibration.log_odds(U))
    told = sigmoid(made.log_odds(score.astype(np.float64)))
    ratio = np.abs(np.log(told / (1 - told)) - calibration.log_odds(U))
    assert (ratio <= math.log(2) / (2 * pdo) + 1e-9).all()


def test_entries_are_base_columns_grid_and_calibration() -> None:
    calibration = some("platt")
    made = card(calibration)
    assert made.entries == ("(base)", "income", "debt", "listed", "region", "(grid)", "(calibration)")
    assert sources(FITTED.fitted) == made.columns
    given_points = points(made, calibration)
    factor = 20 / math.log(2)
    np.testing.assert_allclose(given_points[:, 2], -factor * calibration.slope * WEIGHTS[1] * X[:, 1])
    np.testing.assert_allclose(given_points[:, -2], -factor * calibration.slope * 1.3 * GRID)
    assert np.ptp(given_points[:, 0]) == 0 and not given_points[:, -1].any()
    assert np.abs(given_points[:, 1:5].mean(axis=0)).max() < 1e-9  # relative to the training mean
    assert points(card(some("isotonic")), some("isotonic"))[:, -1].any()


def test_attributes_are_what_a_row_of_that_value_gets() -> None:
    calibration = some("platt")
    made = card(calibration)
    given_points = points(made, calibration)
    table = {(a.column, a.label): a.points for a in made.attributes}
    region = TABLE.categorical["region"]
    for level in ("north", "south", "west"):
        (row,) = np.flatnonzero(region == level)[:1]
        assert table["region", level] == pytest.approx(given_points[row, 4])
    (row,) = np.flatnonzero([level is None for level in region])[:1]
    assert table["region", MISSING_LEVEL] == pytest.approx(given_points[row, 4])
    (row,) = np.flatnonzero(np.isnan(TABLE.numeric["income"]))[:1]
    assert table["income", MISSING_LEVEL] == pytest.approx(given_points[row, 1])
    assert [a.label for a in made.attributes if a.column == "listed"] == ["0", "1", MISSING_LEVEL]
    values = [float(a.label) for a in made.attributes if a.column == "debt" and a.label != MISSING_LEVEL]
    np.testing.assert_allclose(values, np.quantile(TABLE.numeric["debt"], (0.05, 0.25, 0.5, 0.75, 0.95)), atol=0.03)


BINNED = BinnedColumn(
    name="debt", cells=Cells(source="debt", edges=(-0.5, 0.5)), values=(-1.0, 0.25, 2.0, 0.5), centre=0.0, spread=1.0
)


def test_a_binned_column_has_points_a_bin() -> None:
    weights = np.array([0.7, -1.0])
    made = make_scorecard(
        DecisionConfig(),
        Calibration(method="none"),
        [BINNED],
        weights,
        np.array([0.1]),
        TABLE,
    )
    shown = [(a.label, a.points) for a in made.attributes][:3]
    factor = 20 / math.log(2)
    want = [-factor * 0.7 * (v - 0.1) for v in (-1.0, 0.25, 2.0)]
    assert [label for label, _ in shown] == ["below -0.5", "-0.5 to 0.5", "above 0.5"]
    np.testing.assert_allclose([value for _, value in shown], want)


def test_a_column_that_imputes_nothing_has_no_points_for_a_missing_value() -> None:
    plain = FITTED.fitted[1].model_copy(update={"fill": None})
    fitted = FittedPreparation(fitted=(plain,))
    made = make_scorecard(DecisionConfig(), Calibration(method="none"), fitted.fitted, WEIGHTS[[1, -1]], np.zeros(1), TABLE)
    assert MISSING_LEVEL not in {a.label for a in made.attributes}
