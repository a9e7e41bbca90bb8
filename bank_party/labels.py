"""The labels that the bank knows by now, beside scores given earlier."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from common.errors import ConfigError, DataError, WattScoreError
from common.party import Party
from common.rows.dataset import DatasetConfig, check_declared, read_outcomes
from common.rows.featurefile import declared
from common.rows.months import month_text


def known_labels(
    datasets: Mapping[str, DatasetConfig], on_fault: Callable[[str, WattScoreError], None] | None = None
) -> pd.DataFrame | None:
    """id, period (if months are kept) and label of all rows whose outcome is known; a later dataset's counts.

    None if no dataset has a label. Raises ConfigError for one without, DataError for one that is not as declared; with
    `on_fault`, leaves out the former and calls on_fault(name, error) for the latter.
    """
    parts = []
    for name, config in datasets.items():
        try:
            if (part := read_labels(config, name=name)) is not None:
                parts.append(part)
            elif on_fault is None:
                raise ConfigError(f"dataset {name}: has no label", remedy="Name one that has, or declare its `label`.")
        except (ConfigError, DataError) as error:
            if on_fault is None:
                raise
            on_fault(name, error)
    if not parts:
        return None
    return pd.concat([part for part in parts if len(part)] or parts[:1])


def read_labels(config: DatasetConfig, *, name: str) -> pd.DataFrame | None:
    """id, period (YYYY-MM, if one is declared) and label of the rows whose outcome is known: an empty label is not yet.

    None if it has no label. Raises DataError as `read_table` does, and for a file without the label's column.
    """
    config = declared(config)
    if config.label is None:
        return None
    check_declared(config, name=name, party=Party.BANK).require([config.label])
    if (rows := read_outcomes(config, name=name)) is None:
        return None
    found = {"id": rows.ids.tolist()}
    if rows.periods is not None:
        found["period"] = [month_text(month) for month in rows.periods.tolist()]
    return pd.DataFrame({**found, "label": rows.outcomes})[~np.isnan(rows.outcomes)]
