"""Rates of few rows are not shown, and cannot be computed from those that are."""

from __future__ import annotations

import numpy as np
import pytest

from common.stats.few import hidden_rates


@pytest.mark.parametrize(
    ("bad", "good", "off"),
    [
        ((5, 9), (40, 5), (False, False)),
        ((0, 9), (400, 50), (True, True)),  # the month's rate less that of the second tells of the first
        ((4, 90, 6), (40, 50, 40), (True, False, True)),
        ((3, 3, 50), (40, 40, 50), (True, True, False)),
        ((60, 50, 2), (4, 50, 70), (True, False, True)),
        ((4,), (9,), (True,)),
        ((), (), ()),
    ],
)
def test_a_rate_needs_five_rows_of_each_class_and_hidden_ones_together_too(
    bad: tuple[int, ...], good: tuple[int, ...], off: tuple[bool, ...]
) -> None:
    assert tuple(hidden_rates(np.array(bad, np.int64), np.array(good, np.int64))) == off
