"""Small tables and limits that the tests of stages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from common.plan.train import Limits
from common.rows.table import FeatureTable, Ids

LOW = Limits(min_matched=1, min_rows=1, rows_per_column=1)


def table(ids: Sequence[str], periods: Sequence[int] | None = None, label: Any = None, **columns: Any) -> FeatureTable:
    """A table of numeric columns."""
    numeric = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    return FeatureTable(
        ids=Ids.of(ids),
        periods=None if periods is None else np.array(periods, np.int32),
        numeric=numeric,
        categorical={},
        label=None if label is None else np.asarray(label, np.float64),
        order=tuple(numeric),
    )


def rows(data: FeatureTable, at: Any) -> list[tuple[str, int]]:
    """(id, period) of these rows, in this order."""
    periods = np.zeros(data.rows, np.int32) if data.periods is None else data.periods
    return [(str(data.ids[k]), int(periods[k])) for k in at]
