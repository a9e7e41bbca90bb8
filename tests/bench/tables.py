"""Generated tables of any size: standard normal columns, labels from a logistic model, rows of (enterprise, month)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HELD_OUT = 0.1
MONTHS = 20  # rows an enterprise: alignment is on enterprises


def write_tables(
    folder: Path, rows: int, grid: int, bank: int, *, seed: int = 1, months: int = MONTHS, common: float = 1.0
) -> dict[str, Path]:
    """grid.parquet and bank.parquet with `rows` rows, by party; the two in different orders.

    months: rows of each enterprise; of 1 nothing is written. common: the share of enterprises that the other side has too.
    Columns are float32; the bank's label is `y`.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    enterprise, month = np.divmod(np.arange(rows), months)
    columns, label = _columns(rng, rows, grid, bank)
    own = {side: {k: v for k, v in columns.items() if k[0] == side[0]} for side in ("grid", "bank")}
    own["bank"]["y"] = label
    alone = enterprise >= round(-(-rows // months) * common)
    paths = {}
    for side, values in own.items():
        prefix = np.where(alone, f"{side[0].upper()}", "E")  # an id that only this side has
        keys = {"id": np.char.add(prefix, np.char.zfill(enterprise.astype(str), 9))}
        if months > 1:
            keys["month"] = _months(month)
        order = rng.permutation(rows)
        paths[side] = folder / f"{side}.parquet"
        pq.write_table(pa.table({k: v[order] for k, v in (keys | values).items()}), paths[side])
    return paths


def _columns(rng: np.random.Generator, rows: int, grid: int, bank: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    weights = rng.standard_normal(grid + bank) * 1.5 / np.sqrt(grid + bank)
    u, columns = np.full(rows, -1.0), {}
    for j in range(grid + bank):
        columns[f"g{j}" if j < grid else f"b{j - grid}"] = values = rng.standard_normal(rows, dtype=np.float32)
        u += weights[j] * values
    return columns, (rng.random(rows) < 1.0 / (1.0 + np.exp(-u))).astype(np.int8)


def _months(number: np.ndarray) -> np.ndarray:
    year, month = np.divmod(number, 12)
    return np.char.add(np.char.add((2023 + year).astype(str), "-"), np.char.zfill((month + 1).astype(str), 2))
