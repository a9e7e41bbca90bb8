"""Records from a DuckDB file, by DuckDB itself: its types come as they are, and it locks nobody out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from common.errors import ConfigError
from common.records.config import Sql
from common.records.names import named
from common.rows.origin import Origin

_REMEDY = "Check the file, table and columns."


def read_duckdb(path: str, sql: Sql, columns: list[str], origin: Origin) -> pa.Table:
    """These columns of a table or query. Raises ConfigError without the library, DataError for what DuckDB refuses."""
    try:
        import duckdb
    except ImportError:
        raise ConfigError("source.sql: what reads DuckDB files is not installed", remedy="Run: pip install duckdb.") from None
    try:
        with duckdb.connect(path, read_only=True) as database:
            found = database.sql(f"SELECT * FROM {_quoted(sql.table)}" if sql.table else sql.query or "")  # noqa: S608
            names = named(columns, list(found.columns), origin)
            table: pa.Table = found.project(", ".join(map(_quoted_one, names))).to_arrow_table()
    except duckdb.Error as error:
        said = " ".join(str(error).split()).replace(path, "***").replace(Path(path).stem, "***")
        raise origin.fault("the database cannot be read", local=f"the database refused: {said}", remedy=_REMEDY) from None
    return pa.table({column: _plain(table[name]) for column, name in zip(columns, names, strict=True)})


def _quoted(table: str) -> str:
    return ".".join(map(_quoted_one, table.split(".")))


def _quoted_one(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(values: Any) -> Any:
    """Instants as UTC: the session's zone says nothing of the data."""
    kind = values.type
    return values.cast(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(kind) and kind.tz is not None else values
