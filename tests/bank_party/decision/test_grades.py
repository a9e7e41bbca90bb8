"""Grades: the observed rate rises from grade to grade on validation rows, none is too small, scores tell them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bank_party.decision.grades import cut, describe, grade_of
from common.stats.measures import sigmoid

ROWS = st.lists(st.tuples(st.integers(400, 460), st.booleans()), min_size=1, max_size=300)


@settings(deadline=None)
@given(ROWS, st.integers(1, 12), st.integers(1, 40))
def test_grades_rise_and_are_large_enough_whatever_the_rows(rows: list[tuple[int, bool]], count: int, least: int) -> None:
    score, y = np.array([s for s, _ in rows], np.int32), np.array([float(bad) for _, bad in rows])
    starts = cut(score, y, count, least)
    grade = grade_of(score, starts)
    assert list(starts) == sorted(set(starts), reverse=True) and len(starts) < count
    assert sorted(set(grade.tolist())) == list(range(1, len(starts) + 2))
    sizes = [int((grade == k).sum()) for k in range(1, len(starts) + 2)]
    rates = [float(y[grade == k].mean()) for k in range(1, len(starts) + 2)]
    assert len(starts) == 0 or min(sizes) >= least
    assert (np.diff(rates) > 0).all()
    order = np.argsort(-score, kind="stable")
    assert (np.diff(grade[order]) >= 0).all()  # a higher score is never of a worse grade


def test_a_model_that_ranks_well_has_ten_equal_grades() -> None:
    rng = np.random.default_rng(2)
    u = rng.normal(-2, 1.5, 50_000)
    y = (rng.random(50_000) < sigmoid(u)).astype(np.float64)
    score = np.rint(500 - 28.9 * u).astype(np.int32)
    sizes = np.bincount(grade_of(score, cut(score, y, 10, 50)))[1:]
    assert len(sizes) == 10
    np.testing.assert_allclose(sizes, 5000, atol=400)


def test_where_the_rate_does_not_rise_neighbours_are_one() -> None:
    score = np.repeat(np.array([500, 490, 480, 470], np.int32), 100)
    bad = np.repeat([5, 20, 10, 40], 100)
    y = (np.tile(np.arange(100), 4) < bad).astype(np.float64)
    starts = cut(score, y, 4, 1)
    assert starts == (500, 480)
    rising = (np.tile(np.arange(100), 4) < np.repeat([5, 20, 30, 40], 100)).astype(np.float64)
    assert cut(score, rising, 4, 101) == (490,)  # 480 joins 470, whose rate is closer
    assert cut(score, np.zeros(400), 4, 1) == ()


def test_a_grade_says_its_scores_and_rates_in_both_parts() -> None:
    score = np.array([510, 500, 499, 480, 479, 470], np.int32)
    y, p = np.array([0, 0, 0, 1, 1, 1.0]), np.array([0.1, 0.1, 0.2, 0.4, 0.6, 0.8])
    validation = np.array([True, False, True, False, True, True])
    one, two, three = describe(score, p, y, validation, (500, 480))
    assert [(g.grade, g.low, g.high) for g in (one, two, three)] == [(1, 500, None), (2, 480, 499), (3, None, 479)]
    assert (two.validation.rows, two.validation.observed, two.validation.expected) == (1, 0.0, 0.2)
    assert (two.test.rows, two.test.observed, two.test.expected) == (1, 1.0, 0.4)
    assert (three.test.rows, three.test.observed, three.test.expected) == (0, None, None)
    (only,) = describe(score, p, y, validation, ())
    assert (only.low, only.high, only.validation.rows + only.test.rows) == (None, None, 6)
