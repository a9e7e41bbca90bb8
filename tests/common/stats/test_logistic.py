"""The local fit against scikit-learn, and on the data that break a plain Newton."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from common.errors import DataError, PlanError
from common.stats.logistic import Design, fit_logistic, newton
from common.stats.measures import sigmoid


def sample(n, m, seed, shift=-1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, m)) @ rng.normal(size=(m, m)) / np.sqrt(m)
    y = (rng.random(n) < sigmoid(x @ rng.normal(size=m) + shift)).astype(float)
    y[:2] = 0.0, 1.0
    return x, y


def gradient(x, y, ridge, beta):
    error = sigmoid(beta[0] + x @ beta[1:]) - y
    return np.append(error.mean(), x.T @ error / len(y) + ridge * beta[1:])


@pytest.mark.parametrize(("n", "m", "ridge"), [(500, 3, 1e-2), (2000, 12, 1e-3), (300, 1, 1.0)])
def test_equals_scikit_learn(n, m, ridge):
    x, y = sample(n, m, seed=n)
    beta = fit_logistic(x, y, ridge)
    reference = LogisticRegression(C=1 / (n * ridge), tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(x, y)
    assert beta.shape == (m + 1,)
    assert beta == pytest.approx(np.append(reference.intercept_, reference.coef_[0]), abs=1e-5)


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1e-3, 1.0]), st.sampled_from([-5.0, 0.0, 3.0]))
@settings(max_examples=40, deadline=None)
def test_the_gradient_vanishes(seed, ridge, shift):
    x, y = sample(80, 4, seed, shift)
    beta = fit_logistic(x, y, ridge)
    assert np.linalg.norm(gradient(x, y, ridge, beta)) <= 2e-10 * max(1, np.abs(x).max())


def test_without_columns_the_intercept_is_the_log_odds():
    y = np.repeat([0.0, 1.0], [90, 10])
    assert fit_logistic(np.empty((100, 0)), y, 0.1) == pytest.approx([np.log(1 / 9)])


def test_a_ridge_holds_separable_and_collinear_data():
    x = np.linspace(-1, 1, 40)[:, None]
    y = (x[:, 0] > 0).astype(float)
    beta = fit_logistic(np.hstack([x, x]), y, 1e-6)
    assert np.isfinite(beta).all()
    assert beta[1] == pytest.approx(beta[2])
    assert np.linalg.norm(gradient(np.hstack([x, x]), y, 1e-6, beta)) <= 2e-10


def test_steps_are_damped_on_far_outliers():
    x, y = sample(400, 2, seed=4)
    x[:4] *= 1e3
    beta = fit_logistic(x, y, 1e-8)
    assert np.linalg.norm(gradient(x, y, 1e-8, beta)) <= 2e-10 * np.abs(x).max()


def test_without_a_ridge_separated_classes_and_collinear_columns_are_refused():
    x = np.linspace(-1, 1, 40)[:, None]
    with pytest.raises(DataError, match="Set a ridge above 0"):
        fit_logistic(x, (x[:, 0] > 0).astype(float), 0.0)
    _, y = sample(40, 1, seed=5)
    with pytest.raises(DataError, match="Set a ridge above 0"):
        fit_logistic(np.zeros((40, 1)), y, 0.0)


def test_refusals_say_what_and_show_no_value():
    x, y = sample(50, 2, seed=6)
    with pytest.raises(DataError, match="one class only") as caught:
        fit_logistic(x, np.ones(50), 0.1)
    assert "one class only" in caught.value.public and "1.0" not in caught.value.public
    for bad_x, bad_y in [(np.where(x > 0, np.nan, x), y), (x, y * 2), (x[:-1], y), (x[:, 0], y)]:
        with pytest.raises(DataError):
            fit_logistic(bad_x, bad_y, 0.1)
    with pytest.raises(PlanError):
        fit_logistic(x, y, -1.0)


def loss(x, target, u):
    return np.mean(np.logaddexp(0, u) - target * u)


def test_an_offset_that_holds_part_of_the_truth_leaves_the_rest():
    x, y = sample(3000, 4, seed=8)
    whole = newton(Design.of(x), y, np.zeros((4, 4)))
    part = newton(Design.of(x[:, :2]), y, np.zeros((2, 2)), x[:, 2:] @ whole.beta[2:])
    assert (whole.fault, part.fault) == ("", "")
    assert part.beta == pytest.approx(whole.beta[:2], abs=1e-7)
    assert part.u == pytest.approx(x @ whole.beta, abs=1e-6)


def test_targets_between_the_classes_have_an_optimum_where_the_classes_are_separated():
    x = np.linspace(-1, 1, 40)[:, None]
    target = np.where(x[:, 0] > 0, 0.95, 0.05)
    found = newton(Design.of(x), target, np.zeros((1, 1)))
    assert found.fault == ""
    assert abs(x[:, 0] @ (sigmoid(found.u) - target)) / 40 <= 1e-10


@given(st.integers(0, 10_000), st.sampled_from([1.0, 1e6, 1e12]))
@settings(max_examples=40, deadline=None)
def test_where_there_is_no_optimum_the_end_is_no_worse_than_the_start(seed, spread):
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=12) * rng.choice([1e-9, 1.0, spread], 12), np.ones(12)])
    target, offset = rng.choice([0.0, 0.1, 1.0], 12), np.full(12, -1.0)
    found = newton(Design.of(x), target, np.zeros((2, 2)), offset)
    assert np.isfinite(found.beta).all()
    assert (offset == -1.0).all(), "it is the caller's"
    assert loss(x, target, found.u) <= loss(x, target, offset) + 1e-10
