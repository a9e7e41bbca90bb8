"""Columns and an origin made in a test, as a reader would hand them on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from common.rows.origin import Origin


class Made(Origin):
    """A table of columns, whose rows are lines from 2 on."""

    label, name = "made.csv", "dataset made"

    def __init__(self, columns: Mapping[str, Any] | None = None) -> None:
        self.columns = {k: v if isinstance(v, pa.ChunkedArray) else pa.chunked_array([v]) for k, v in (columns or {}).items()}

    @property
    def num_rows(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"line {row + 2}" for row in rows}


def text(*values: str | None) -> Made:
    return Made({"x": pa.array(values, pa.string())})
