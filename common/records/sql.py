"""Records from a database through SQLAlchemy: read-only, in chunks, and without its URL in any message."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from common.errors import ConfigError
from common.records.config import Sql
from common.records.duck import read_duckdb
from common.records.names import named
from common.rows.join import joined
from common.rows.near import near
from common.rows.origin import Origin


@dataclass(frozen=True)
class SqlRows(Origin):
    """Rows of a table or query, in the order in which the database gave them."""

    label: str
    name: str

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"row {row + 1}" for row in rows}


DRIVERS = {
    "postgresql": ("psycopg[binary]", "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"),
    "opengauss": ("opengauss-sqlalchemy psycopg2-binary", "opengauss+psycopg2://USER:PASSWORD@HOST:5432/DATABASE"),
    "mysql": ("pymysql", "mysql+pymysql://USER:PASSWORD@HOST/DATABASE"),
    "mariadb": ("pymysql", "mariadb+pymysql://USER:PASSWORD@HOST/DATABASE"),
    "oracle": ("oracledb", "oracle+oracledb://USER:PASSWORD@HOST:1521/?service_name=NAME"),
    "dm": ("dmSQLAlchemy dmPython 'sqlalchemy<2.1'", "dm+dmPython://USER:PASSWORD@HOST:5236"),
    "db2": ("ibm_db_sa", "db2+ibm_db://USER:PASSWORD@HOST:50000/DATABASE"),
    "ibm_db_sa": ("ibm_db_sa", "db2+ibm_db://USER:PASSWORD@HOST:50000/DATABASE"),
    "mssql": ("pymssql", "mssql+pymssql://USER:PASSWORD@HOST/DATABASE"),
    "duckdb": ("duckdb", "duckdb:////absolute/path.duckdb"),
    "kingbase8": ("ksycopg2", "kingbase8+ksycopg2://USER:PASSWORD@HOST:54321/DATABASE"),
    "clickhouse": ("clickhouse-sqlalchemy", "clickhouse+native://USER:PASSWORD@HOST/DATABASE"),
    "hive": ("'pyhive[hive_pure_sasl]'", "hive://USER@HOST:10000/DATABASE"),
}
"""Dialect -> (what to install, the form of its URL)."""

_JDBC = {"sqlserver": "mssql", "hive2": "hive", "ch": "clickhouse"}  # where its name differs from the dialect's


def read_sql(sql: Sql, party: str, columns: list[str]) -> tuple[pa.Table, SqlRows]:
    """(these columns, their origin), fetched `sql.chunk` rows at a time.

    Raises ConfigError for a URL that is not given or names no driver, DataError for what the database refuses.
    """
    url = _parsed(sql.url())
    origin = SqlRows(f"table {sql.table}" if sql.table else "the query", f"{party} records")
    _check_file(url, origin)
    if url.get_backend_name() == "duckdb":
        return read_duckdb(url.database or "", sql, columns, origin), origin
    engine = _engine(url)
    try:
        tables = list(_chunks(engine, sql, columns, origin))
    except SQLAlchemyError as error:
        raise origin.fault("the database cannot be read", local=_cause(error, url), remedy=_REMEDY) from None
    if not tables:
        raise origin.fault("there are no rows", remedy="Check the table, or the query's conditions.")
    data = {c: joined(origin, c, [t[c] for t in tables], lambda k: f"rows from {k * sql.chunk + 1} on") for c in columns}
    return pa.table(data), origin


_SHORT = 3
_REMEDY = "Check the URL, the account's right to read, and the names of table and columns."


def _engine(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise ConfigError(
            f"source.sql: there is no driver for {url.drivername!r} here", remedy=_install(url.get_backend_name())
        ) from None
    except (ImportError, AttributeError) as error:  # a dialect made for another SQLAlchemy
        raise ConfigError(
            f"source.sql: the driver of {url.get_backend_name()!r} does not work with SQLAlchemy {sa.__version__}"
            f" ({type(error).__name__})",
            remedy="Run: pip install 'sqlalchemy==2.0.58', or take a newer version of the driver.",
        ) from None
    except (SQLAlchemyError, ValueError, TypeError):  # their texts quote parts of the URL
        raise ConfigError(
            f"source.sql: the URL is not one that {url.get_backend_name()!r} takes", remedy="Check its form and its options."
        ) from None


def _install(backend: str) -> str:
    package, form = DRIVERS.get(backend, ("", ""))
    if not package:
        meant = " or ".join(map(repr, near([backend], list(DRIVERS))))
        known = f"Did you mean {meant}?" if meant else f"Those known are {', '.join(DRIVERS)}."
        return f"{known} For another database install its SQLAlchemy dialect."
    quoted = f"'{package}'" if "[" in package and "'" not in package else package
    return f"Run: pip install {quoted}. The URL is of the form {form}."


def _parsed(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except (ArgumentError, ValueError):
        what = "the URL is one of JDBC" if text.lower().startswith("jdbc:") else "the URL cannot be parsed"
        backend = text.lower().removeprefix("jdbc:").partition(":")[0]
        _, form = DRIVERS.get(_JDBC.get(backend, backend), DRIVERS["postgresql"])
        raise ConfigError(f"source.sql: {what}", remedy=f"Write it as {form}.") from None


def _check_file(url: sa.URL, origin: SqlRows) -> None:
    """SQLite and DuckDB would make a file that is missing."""
    path, backend = url.database or "", url.get_backend_name()
    if backend in ("sqlite", "duckdb") and path and not path.startswith(("file:", ":")) and not Path(path).is_file():
        form = f"{backend}:////absolute/path.db"
        raise origin.fault("the database file does not exist", remedy=f"Check the path in the URL ({form}).")


def _cause(error: SQLAlchemyError, url: sa.URL) -> str:
    """The driver's words without the statement, and without what the URL holds."""
    text = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
    query = [text for value in url.query.values() for text in ([value] if isinstance(value, str) else value)]
    for secret in (url.render_as_string(hide_password=False), url.password, url.username, url.host, url.database, *query):
        if secret and (len(str(secret)) > _SHORT or secret is url.password):
            text = text.replace(str(secret), "***")
        elif secret:  # a user `sa` is no part of "message"
            text = re.sub(rf"(?<!\w){re.escape(str(secret))}(?!\w)", "***", text)
    return "the database refused: " + " ".join(text.split()).rstrip(" .?!")


def _chunks(engine: sa.Engine, sql: Sql, columns: list[str], origin: SqlRows) -> Iterator[pa.Table]:
    options: dict[str, Any] = {"stream_results": True, "yield_per": sql.chunk, "postgresql_readonly": True}
    with engine.connect() as connection:
        if sql.table:
            statement: Any = _select(connection, sql.table, columns, origin)
        else:
            statement = sa.text((sql.query or "").replace(":", r"\:"))
        connection = connection.execution_options(**options)
        result = connection.execute(statement)
        there = list(result.keys())
        names = list(columns) if sql.table else named(columns, there, origin)
        for rows in result.columns(*(there if sql.table else names)).partitions():
            values = dict(zip(columns, zip(*rows, strict=True), strict=True))
            yield pa.table({name: _array(name, values[name], origin) for name in columns})


def _select(connection: sa.Connection, name: str, columns: list[str], origin: SqlRows) -> sa.Select[*tuple[Any, ...]]:
    schema, _, table = name.rpartition(".")
    inspector = sa.inspect(connection)
    try:
        there = [column["name"] for column in inspector.get_columns(table, schema=schema or None)]
    except NoSuchTableError:
        raise origin.fault("no such table or view", remedy="Check source.sql.table; a schema goes before a dot.") from None
    names = named(columns, there, origin)
    connection.rollback()  # ends what the inspection began, so that the reading transaction can be read-only
    return sa.select(*(sa.column(c) for c in names)).select_from(sa.table(table, schema=schema or None))


def _array(column: str, values: Sequence[Any], origin: SqlRows) -> pa.Array:
    """A column as Arrow holds it: decimals exactly, instants as UTC whatever the session's zone, what has no type as text."""
    kinds = {type(v) for v in values if v is not None}
    if kinds & {list, dict, set} or any(k.__module__.startswith("uuid") for k in kinds):
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    if kinds == {datetime} and any(v.tzinfo is not None for v in values if v is not None):
        if all(v is None or v.tzinfo is not None for v in values):
            return pa.array(values, pa.timestamp("us", "UTC"))
        raise origin.fault(f"column {column!r} holds times with and without a zone", remedy="Cast it in a query.")
    if kinds == {bytes} and all(v in (b"\0", b"\1") for v in values if v is not None):  # BIT(1) of MySQL
        return pa.array([None if v is None else v == b"\1" for v in values], pa.bool_())
    if Decimal in kinds and not kinds <= {Decimal}:
        return pa.array([None if v is None else _shown(v) for v in values], pa.string())
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError):
        return pa.array([None if v is None else _shown(v) for v in values], pa.string())


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
