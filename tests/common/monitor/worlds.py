"""Rows of a party by month, with a season, ties, heavy tails, categories and missing values; and what drift does to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from common.rows.table import FeatureTable, Ids

Vector = npt.NDArray[np.float64]
FIRST = 2023 * 12  # January


def party(rows: int, months: int, seed: int) -> FeatureTable:
    """`rows` enterprises in each of `months` months, by month."""
    rng, count = np.random.default_rng(seed), rows * months
    month = np.repeat(np.arange(months), rows)
    numeric: dict[str, Vector] = {
        "amount": rng.lognormal(3.0, 1.5, count),
        "season": rng.normal(0.0, 1.0, count) + 1.5 * np.sin(2 * np.pi * month / 12),
        "late": rng.poisson(0.3, count).astype(np.float64),
        "flag": (rng.random(count) < 0.03).astype(np.float64),
        "steady": rng.normal(0.0, 1.0, count),
        "blank": np.where(rng.random(count) < 0.2, np.nan, rng.normal(0.0, 1.0, count)),
    }
    trade = rng.choice(np.array(["mill", "shop", "farm", None], object), count, p=[0.5, 0.3, 0.15, 0.05])
    ids = Ids.of([f"F{k}" for k in np.tile(np.arange(rows), months).tolist()])
    return FeatureTable(ids, (FIRST + month).astype(np.int32), numeric, {"trade": trade})


def since(table: FeatureTable, month: int, **columns: npt.NDArray[np.generic]) -> FeatureTable:
    """`table` with these values of numeric columns from month FIRST + `month` on."""
    assert table.periods is not None
    late = table.periods >= FIRST + month
    numeric = dict(table.numeric)
    for name, values in columns.items():
        numeric[name] = np.where(late, values, numeric[name])
    return replace(table, numeric=numeric)


def split(table: FeatureTable, month: int) -> tuple[FeatureTable, FeatureTable]:
    """Rows before month FIRST + `month`, and the others."""
    assert table.periods is not None
    early = table.periods < FIRST + month
    return table.take(np.flatnonzero(early)), table.take(np.flatnonzero(~early))
