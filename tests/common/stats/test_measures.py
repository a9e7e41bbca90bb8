"""Metrics against scikit-learn, scipy and brute force, with ties; DeLong against its definition."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from common.stats.measures import auc, brier, delong, evaluate, gini, ks, logloss, sigmoid


@st.composite
def tied(draw, scores=1, least=1):
    """Labels with at least `least` rows of each class, and score columns on few levels so that ties abound."""
    rest = draw(st.lists(st.integers(0, 1), max_size=25))
    y = np.array([0.0, 1.0] * least + rest, dtype=np.float64)
    columns = [draw(st.lists(st.integers(-3, 3), min_size=len(y), max_size=len(y))) for _ in range(scores)]
    return (y, *(np.array(column, dtype=np.float64) / 2 for column in columns))


def pairs(y, score):
    """(bad, good) matrix: 1 where the bad row scores higher, one half at a tie."""
    gap = score[y == 1][:, None] - score[y == 0][None, :]
    return (gap > 0) + (gap == 0) / 2


@given(tied())
def test_ranking_metrics_equal_brute_force(case):
    y, score = case
    assert auc(y, score) == pytest.approx(pairs(y, score).mean(), abs=1e-12)
    gaps = [abs((score[y == 1] <= t).mean() - (score[y == 0] <= t).mean()) for t in score]
    assert ks(y, score) == pytest.approx(max(gaps), abs=1e-12)
    assert gini(y, score) == pytest.approx(2 * auc(y, score) - 1)


@given(tied())
def test_ranking_metrics_know_only_the_order(case):
    y, score = case
    assert auc(y, -score) == pytest.approx(1 - auc(y, score))
    assert ks(y, -score) == pytest.approx(ks(y, score))
    assert auc(y, np.exp(score)) == auc(y, score)


def test_against_scikit_learn_and_scipy():
    rng = np.random.default_rng(1)
    u = rng.normal(-1, 2, 5000).round(1)
    y = (rng.random(5000) < sigmoid(u)).astype(float)
    p = sigmoid(u)
    got = evaluate(y, u)
    assert got.auc == pytest.approx(sklearn.metrics.roc_auc_score(y, u), abs=1e-12)
    assert got.ks == pytest.approx(scipy.stats.ks_2samp(u[y == 1], u[y == 0]).statistic, abs=1e-12)
    assert got.gini == pytest.approx(2 * got.auc - 1)
    assert got.logloss == pytest.approx(sklearn.metrics.log_loss(y, p), abs=1e-12)
    assert got.brier == pytest.approx(sklearn.metrics.brier_score_loss(y, p), abs=1e-12)


def test_extremes():
    y = np.array([0.0, 0.0, 1.0, 1.0])
    assert (auc(y, y), ks(y, y), auc(y, 0 * y), ks(y, 0 * y)) == (1.0, 1.0, 0.5, 0.0)
    assert logloss(y, 1 - y) == pytest.approx(-math.log(1e-15), rel=1e-3)
    assert brier(y, 1 - y) == 1.0
    assert evaluate(y, np.array([-1e4, -800.0, 800.0, 1e4])).logloss == pytest.approx(1e-15, rel=0.2)
    assert sigmoid(np.array([-700.0]))[0] == pytest.approx(math.exp(-700))


def delong_by_definition(y, a, b):
    """Difference and standard error from the full covariance of structural components."""
    placements = [(pairs(y, s).mean(axis=1), pairs(y, s).mean(axis=0)) for s in (a, b)]
    s10 = np.cov([v[0] for v in placements])
    s01 = np.cov([v[1] for v in placements])
    s = s10 / (y == 1).sum() + s01 / (y == 0).sum()
    return placements[0][0].mean() - placements[1][0].mean(), math.sqrt(max(0.0, s[0, 0] + s[1, 1] - 2 * s[0, 1]))


@given(tied(scores=2, least=2))
@settings(max_examples=200)
def test_delong_equals_its_definition(case):
    y, a, b = case
    difference, error = delong_by_definition(y, a, b)
    got = delong(y, a, b)
    assert got.difference == pytest.approx(difference, abs=1e-12)
    assert got.difference == pytest.approx(auc(y, a) - auc(y, b), abs=1e-12)
    assert got.low == pytest.approx(max(-1, difference - 1.959963984540054 * error), abs=1e-6)
    assert got.high == pytest.approx(min(1, difference + 1.959963984540054 * error), abs=1e-6)
    if error > 1e-6:
        assert got.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(difference) / error), abs=1e-9)


@given(tied())
def test_delong_of_two_columns_swapped_is_its_mirror(case):
    y, a = np.tile(case, 2)
    b = np.roll(a, 1)
    one, other = delong(y, a, b), delong(y, b, a)
    assert (one.difference, one.low, one.p_value) == pytest.approx((-other.difference, -other.high, other.p_value), abs=1e-12)


def test_delong_degenerate_cases():
    rng = np.random.default_rng(2)
    y, a = (rng.random(200) < 0.3).astype(float), rng.normal(size=200)
    same = delong(y, a, 3 * a + 1)
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    opposite = delong(y, y, -y)
    assert (opposite.difference, opposite.low, opposite.high, opposite.p_value) == (1.0, 1.0, 1.0, 0.0)


def test_delong_interval_covers_the_truth():
    rng = np.random.default_rng(3)
    covered, runs = 0, 400
    y = np.repeat([0.0, 1.0], [150, 50])
    truth = scipy.stats.norm.cdf(1 / math.sqrt(2) / math.sqrt(1.5)) - scipy.stats.norm.cdf(1 / math.sqrt(2) / math.sqrt(2))
    for _ in range(runs):
        health = rng.normal(size=200) + y
        got = delong(y, health + rng.normal(size=200) * math.sqrt(0.5), health + rng.normal(size=200))
        covered += got.low <= truth <= got.high
    assert 0.92 <= covered / runs <= 0.98


@pytest.mark.parametrize(
    ("y", "score"),
    [
        ([0, 0, 0], [1, 2, 3]),
        ([0, 1, 2], [1, 2, 3]),
        ([0, 1, float("nan")], [1, 2, 3]),
        ([0, 1], [1, 2, 3]),
        ([], []),
        ([0, 1, 1], [1, 2, float("nan")]),
        ([0, 1, 1], [1, 2, float("inf")]),
    ],
)
def test_refuses_what_cannot_be_ranked(y, score):
    y, score = np.array(y, dtype=float), np.array(score, dtype=float)
    for metric in (auc, ks, evaluate):
        with pytest.raises(DataError, match="Cannot evaluate") as caught:
            metric(y, score)
        assert "nan" not in caught.value.public
    with pytest.raises(DataError):
        delong(y, score, score)


def test_delong_needs_two_rows_of_each_class():
    with pytest.raises(DataError, match="fewer than two"):
        delong(np.array([0.0, 0.0, 1.0]), np.arange(3.0), np.arange(3.0))
