"""The labels that the bank knows by now, beside scores given earlier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from common.errors import DataError
from common.rows.dataset import DatasetConfig, read_outcomes
from common.rows.months import month_text


def known_labels(
    datasets: dict[str, DatasetConfig], names: Sequence[str], on_fault: Callable[[str, DataError], None] | None = None
) -> pd.DataFrame:
    """id, period (if months are kept) and label of all rows whose outcome is known; a later dataset's counts.

    Raises DataError for a dataset that is not as declared, or leaves it out and calls on_fault(name, error).
    """
    parts = []
    for name in (name for name in datasets if name in names):
        try:
            parts.append(read_labels(datasets[name], name=name))
        except DataError as error:
            if on_fault is None:
                raise
            on_fault(name, error)
    frames = [part for part in parts if len(part)]
    if not frames:
        return pd.DataFrame({"id": [], "label": []})
    return pd.concat(frames)


def read_labels(config: DatasetConfig, *, name: str) -> pd.DataFrame:
    """id, period (YYYY-MM, if one is declared) and label of the rows whose outcome is known: an empty label is not yet.

    No rows if the file lacks the label's column or is not there. Raises DataError as `read_table` does.
    """
    if not (config.features or config.path).exists():
        return pd.DataFrame()
    if (rows := read_outcomes(config, name=name)) is None:
        return pd.DataFrame()
    found = {"id": rows.ids.tolist()}
    if rows.periods is not None:
        found["period"] = [month_text(month) for month in rows.periods.tolist()]
    return pd.DataFrame({**found, "label": rows.outcomes})[~np.isnan(rows.outcomes)]
