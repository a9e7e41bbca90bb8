"""Generated tables of any size: standard normal columns, labels from a logistic model, rows of (enterprise, month)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HELD_OUT = 0.1
MONTHS = 20  # rows an enterprise: alignment is on enterprises


def write_tables(folder: Path, rows: int, grid: int, bank: int, seed: int = 1) -> tuple[Path, Path]:
    """grid.parquet and bank.parquet with `rows` training rows and those held out besides, the two in different orders.

    Columns are float32; the bank's label is `y`.
    """
    rng, rows = np.random.default_rng(seed), round(rows / (1.0 - HELD_OUT))
    folder.mkdir(parents=True, exist_ok=True)
    enterprise, month = np.divmod(np.arange(rows), MONTHS)
    keys = {"id": np.char.add("E", np.char.zfill(enterprise.astype(str), 9)), "month": _months(month)}
    weights = rng.standard_normal(grid + bank) * 1.5 / np.sqrt(grid + bank)
    u = np.full(rows, -1.0)
    columns: dict[str, np.ndarray] = {}
    for j in range(grid + bank):
        values = rng.standard_normal(rows, dtype=np.float32)
        u += weights[j] * values
        columns[f"g{j}" if j < grid else f"b{j - grid}"] = values
    label = (rng.random(rows) < 1.0 / (1.0 + np.exp(-u))).astype(np.int8)
    sides = {
        "grid": {k: v for k, v in columns.items() if k[0] == "g"},
        "bank": {k: v for k, v in columns.items() if k[0] == "b"} | {"y": label},
    }
    paths = []
    for name, own in sides.items():
        order = rng.permutation(rows)
        paths.append(folder / f"{name}.parquet")
        pq.write_table(pa.table({k: v[order] for k, v in (keys | own).items()}), paths[-1])
    return paths[0], paths[1]


def _months(number: np.ndarray) -> np.ndarray:
    year, month = np.divmod(number, 12)
    return np.char.add(np.char.add((2023 + year).astype(str), "-"), np.char.zfill((month + 1).astype(str), 2))
