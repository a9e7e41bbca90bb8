"""How large a dataset is, by its header and the length of its file: no row is read."""

from __future__ import annotations

from dataclasses import dataclass

from common.rows.declare import DatasetConfig
from common.rows.tablefile import TableFile


@dataclass(frozen=True)
class Extent:
    """The extent of one dataset: rows, about, and feature columns."""

    rows: int
    columns: int


def extent_of(file: TableFile, config: DatasetConfig) -> Extent:
    """Rows of a Parquet file by its footer; of a CSV file by the length of the lines in its first MiB."""
    keys = {config.id, config.period, config.label}
    columns = len(config.columns) or len([c for c in file.header if c not in keys])
    return Extent(file.estimated_rows(), columns)
