"""Calibration against plain oracles: scipy's optimum, scikit-learn's isotonic regression, sums by hand; the stated figure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from bank_party.decision.calibrate import (
    Calibration,
    ReliabilityBin,
    calibrate,
    calibration_error,
    isotonic,
    platt,
    reliability,
)
from common.stats.measures import sigmoid

METHODS = ("platt", "isotonic", "none")
RNG = np.random.default_rng(3)
TRUE = RNG.normal(-3.0, 1.5, 5000)
LABEL = (RNG.random(5000) < sigmoid(TRUE)).astype(np.float64)
SKEWED = 2.0 * TRUE + 1.0  # too sure of itself, and shifted


def test_platt_is_the_optimum_of_its_targets() -> None:
    bad = LABEL.sum()
    target = np.where(LABEL == 1, (bad + 1) / (bad + 2), 1 / (len(LABEL) - bad + 2))

    def loss(beta: np.ndarray) -> float:
        u = beta[0] * SKEWED + beta[1]
        return float(np.mean(np.logaddexp(0, u) - target * u))

    best = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-9}).x
    slope, intercept = platt(SKEWED, LABEL)
    np.testing.assert_allclose([slope, intercept], best, rtol=1e-4)
    assert slope == pytest.approx(0.5, rel=0.1)
    assert intercept == pytest.approx(-0.5, abs=0.2)


def test_isotonic_is_the_isotonic_regression() -> None:
    u = SKEWED.round(1)  # with ties
    knots, levels = isotonic(u, LABEL)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(u, LABEL)
    at = np.linspace(u.min() - 1, u.max() + 1, 5001)
    least = 0.5 / len(u)
    want = np.clip(oracle.predict(at), least, 1 - least)
    # Interpolation runs between the clamped ends of a pool here, between the exact ones there.
    np.testing.assert_allclose(np.interp(at, knots, levels), want, atol=least)
    assert len(knots) < 400


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-40, 40), st.booleans()), min_size=1, max_size=60),
    st.sampled_from(METHODS),
)
def test_any_calibration_is_monotone_keeps_order_and_survives_json(rows: list[tuple[int, bool]], method: str) -> None:
    u = np.array([score / 8 for score, _ in rows])
    y = np.array([float(overdue) for _, overdue in rows])
    made = calibrate(u, y, method)  # type: ignore[arg-type]
    at = np.linspace(-30, 30, 301)
    p = made.probability(at)
    assert (np.diff(p) >= -1e-15).all() and ((p > 0) & (p <= 1)).all()
    again = Calibration.model_validate(json.loads(json.dumps(made.model_dump(mode="json"))))
    assert again == made
    np.testing.assert_array_equal(again.probability(at), p)
    if method == "isotonic":
        np.testing.assert_allclose(np.interp(at, made.knots, made.levels), p, rtol=1e-12)


def test_on_validation_rows_the_mean_probability_is_the_rate() -> None:
    for method in ("platt", "isotonic"):
        p = calibrate(SKEWED, LABEL, method).probability(SKEWED)  # type: ignore[arg-type]
        assert p.mean() == pytest.approx(LABEL.mean(), abs=2e-4)


def test_scores_that_rank_the_wrong_way_give_everybody_the_rate() -> None:
    made = calibrate(-SKEWED, LABEL, "platt")
    assert made.slope == 0
    assert made.probability(SKEWED)[0] == pytest.approx(LABEL.mean(), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_one_class_one_score_and_separated_classes_have_a_calibration(method: str) -> None:
    for u, y in (([1.0] * 4, [0, 1, 0, 1]), ([1.0, 2.0, 3.0], [0, 0, 0]), ([-5.0, -4.0, 4.0, 5.0], [0, 0, 1, 1])):
        p = calibrate(np.array(u), np.array(y, np.float64), method).probability(np.array([-9.0, 0.0, 9.0]))  # type: ignore[arg-type]
        assert np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()


def test_reliability_and_its_error_by_hand() -> None:
    p = np.array([0.1, 0.9, 0.2, 0.8])
    y = np.array([0.0, 1.0, 1.0, 1.0])
    curve = reliability(p, y, bins=2)
    assert [b.rows for b in curve] == [2, 2]
    assert [(b.expected, b.observed) for b in curve] == [(pytest.approx(0.15), 0.5), (pytest.approx(0.85), 1.0)]
    assert calibration_error(curve) == pytest.approx((0.35 + 0.15) / 2)
    assert calibration_error((ReliabilityBin(rows=3, expected=0.5, observed=0.5),)) == 0
    assert len(reliability(p[:3], y[:3])) == 3  # fewer rows than bins


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_at_3_percent_overdue_the_error_is_at_most_half_a_percent(method: str) -> None:
    """200,000 rows, 30 % held out, 40 % of these calibrate; the scores are too sure and shifted, as after class weights."""
    rng = np.random.default_rng(11)
    true = rng.normal(-4.3, 1.3, 60_000)
    y = (rng.random(60_000) < sigmoid(true)).astype(np.float64)
    assert 0.025 < y.mean() < 0.035
    u = 1.6 * true + 3.0 + 0.3 * np.tanh(true + 4)
    validation = np.arange(60_000) < 24_000
    test = ~validation
    before = calibration_error(reliability(sigmoid(u)[test], y[test]))
    made = calibrate(u[validation], y[validation], method)  # type: ignore[arg-type]
    after = calibration_error(reliability(made.probability(u)[test], y[test]))
    assert before > 0.05
    assert after <= 0.005
