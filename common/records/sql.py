"""Records from a database through SQLAlchemy: read-only, in chunks, and without its URL in any message."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from common.errors import ConfigError
from common.records.config import Sql
from common.records.origin import Origin, joined


@dataclass(frozen=True)
class SqlRows(Origin):
    """Rows of a table or query, in the order in which the database gave them."""

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"row {row + 1}" for row in rows}


def read_sql(sql: Sql, party: str, columns: list[str], id: str) -> tuple[pa.Table, SqlRows]:
    """(these columns, their origin), fetched `sql.chunk` rows at a time.

    Raises ConfigError for a URL that is not given or names no driver, DataError for what the database refuses.
    """
    url = _parsed(sql.url())
    origin = SqlRows(f"table {sql.table}" if sql.table else "the query", party)
    try:
        engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise ConfigError(
            f"source.sql: there is no driver for {url.drivername!r} here",
            remedy="Install it, for PostgreSQL by pip install 'wattscore[postgres]', with a URL postgresql+psycopg://...",
        ) from None
    except (SQLAlchemyError, ValueError, TypeError):  # their texts quote parts of the URL
        raise ConfigError(
            f"source.sql: the URL is not one that {url.get_backend_name()!r} takes", remedy="Check its form and its options."
        ) from None
    try:
        _check_file(url, origin)
        tables = list(_chunks(engine, sql, columns, id, origin))
    except SQLAlchemyError as error:
        raise origin.fault("the database cannot be read", local=_cause(error, url), remedy=_REMEDY) from None
    if not tables:
        raise origin.fault("there are no rows", remedy="Check the table, or the query's conditions.")
    return joined(tables), origin


_REMEDY = "Check the URL, the account's right to read, and the names of table and columns."


def _parsed(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "source.sql: the URL cannot be parsed", remedy="Write it as postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        ) from None


def _check_file(url: sa.URL, origin: SqlRows) -> None:
    """SQLite would make a file that is missing."""
    path = url.database or ""
    if url.get_backend_name() == "sqlite" and path and not path.startswith(("file:", ":")) and not Path(path).is_file():
        raise origin.fault(
            "the database file does not exist", remedy="Check the path in the URL (sqlite:////absolute/path.db)."
        )


def _cause(error: SQLAlchemyError, url: sa.URL) -> str:
    """The driver's words without the statement, and without what the URL holds."""
    text = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
    query = [text for value in url.query.values() for text in ([value] if isinstance(value, str) else value)]
    for secret in (url.render_as_string(hide_password=False), url.password, url.username, url.host, url.database, *query):
        text = text.replace(str(secret), "***") if secret else text
    return "the database refused: " + " ".join(text.split())


def _chunks(engine: sa.Engine, sql: Sql, columns: list[str], id: str, origin: SqlRows) -> Iterator[pa.Table]:
    options = {"stream_results": True, "yield_per": sql.chunk, "postgresql_readonly": True}
    with engine.connect() as connection:
        statement = (
            _select(connection, sql.table, columns, origin) if sql.table else sa.text((sql.query or "").replace(":", r"\:"))
        )
        connection = connection.execution_options(**options)
        result = connection.execute(statement)
        _require(columns, list(result.keys()), origin)
        for rows in result.columns(*columns).partitions():
            values = dict(zip(columns, zip(*rows, strict=True), strict=True))
            yield pa.table({name: _array(values[name], name == id, origin) for name in columns})


def _select(connection: sa.Connection, name: str, columns: list[str], origin: SqlRows) -> sa.Select[*tuple[Any, ...]]:
    schema, _, table = name.rpartition(".")
    try:
        there = [column["name"] for column in sa.inspect(connection).get_columns(table, schema=schema or None)]
    except NoSuchTableError:
        raise origin.fault("no such table or view", remedy="Check source.sql.table; a schema goes before a dot.") from None
    _require(columns, there, origin)
    connection.rollback()  # ends what the inspection began, so that the reading transaction can be read-only
    return sa.select(*(sa.column(c) for c in columns)).select_from(sa.table(table, schema=schema or None))


def _require(columns: list[str], there: list[str], origin: SqlRows) -> None:
    missing = [c for c in columns if c not in there]
    if missing:
        what = f"no column {', '.join(map(repr, missing))}"
        close = dict.fromkeys(match for c in missing for match in difflib.get_close_matches(c, there, n=3))
        names = f"; close names in it: {', '.join(map(repr, close))}" if close else ""
        raise origin.fault(what, local=what + names, remedy="Check the declared names.")


def _array(values: Sequence[Any], is_id: bool, origin: SqlRows) -> pa.Array:
    """A column as Arrow holds it: decimals as floats (as text in ids), what has no common type as text."""
    if is_id and any(isinstance(v, float) for v in values):
        raise origin.fault("ids are stored as floating-point numbers", remedy="Store ids as text.")
    if is_id:
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    try:
        return pa.array([float(v) if isinstance(v, Decimal) else v for v in values])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if v is None else str(v) for v in values], pa.string())
