"""Variance inflation against its definition: the R^2 of each column's regression on the others."""

from __future__ import annotations

import numpy as np
import pytest

from common.features import collinearity


def test_inflation_is_one_over_one_less_r_squared() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(800, 4))
    x[:, 3] = x[:, 0] + 0.5 * x[:, 1] + 0.3 * rng.normal(size=800)
    x = np.column_stack([x, np.ones(800)])
    found = collinearity.describe(("a", "b", "c", "d", "(intercept)"), lambda low, high: x[low:high], 800)
    assert [column.name for column in found] == ["a", "b", "c", "d"]  # the intercept does not vary
    for k, column in enumerate(found):
        others = np.delete(x, k, axis=1)
        rest = x[:, k] - others @ np.linalg.lstsq(others, x[:, k], rcond=None)[0]
        assert column.vif == pytest.approx(x[:, k].var() / rest.var(), rel=1e-6)
    assert (found[0].nearest, found[3].nearest) == ("d", "a")
    assert found[3].correlation == pytest.approx(np.corrcoef(x[:, 3], x[:, 0])[0, 1])


def test_an_only_column_and_too_few_rows() -> None:
    x = np.arange(30.0).reshape(30, 1)
    (only,) = collinearity.describe(("a",), lambda low, high: x[low:high], 30)
    assert (only.vif, only.nearest) == (1.0, None)
    assert collinearity.describe(("a", "b"), lambda low, high: np.ones((high - low, 2)), 2) == ()
