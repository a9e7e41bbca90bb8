"""The exported query reads a table's columns as a file's are, whatever their type and however texts are padded."""

from __future__ import annotations

import sqlite3
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from bank_party.decision.calibrate import Calibration
from bank_party.export.formula import Formula, Linear, Steps
from bank_party.export.sql import as_sql

MISSING = -5.0
NAMES = ("trade", "area", "code", "flag", "rate", "grid_part")
ROWS: list[tuple[tuple[Any, ...], tuple[float, ...]]] = [
    (("steel", "N", 1.0, True, 0.7, 0.5), (1.0, 10.0, 1.0, 7.0, 100.0)),  # 0.7 of four bytes is below the 0.7 of eight
    (("steel ", "N ", 2.0, False, 0.3, 0.5), (1.0, 10.0, 3.0, 1.0, 1.0)),
    (("\u3000steel\t", "S", None, None, None, 0.5), (1.0, 0.0, MISSING, MISSING, MISSING)),
    (("NULL", "n/a", 1.0, True, 0.9, 0.5), (MISSING, 10.0, 1.0, 7.0, 100.0)),  # of the area the fill is N
    (("", None, 1.0, True, 0.1, 0.5), (MISSING, 10.0, 1.0, 7.0, 1.0)),
    (("Steel", "n", 1.0, False, 0.1, 0.5), (3.0, 0.0, 1.0, 1.0, 1.0)),  # other texts
]


def steps(column: str, values: tuple[float, ...], edges: tuple[float, ...] = (), levels: Any = None) -> Steps:
    return Steps(column=column, edges=edges, levels=levels, values=values, missing=MISSING)


def formula() -> Formula:
    area = Linear(
        column="area", level="N", fill="N", signed_log=False, mean=0.0, deviation=1.0, low=-9.0, high=9.0, slope=10.0, shift=0.0
    )
    return Formula(
        job="train-1",
        closed=True,
        note="",
        numbers=("flag", "rate"),
        texts=("trade", "area", "code"),
        centre=0.0,
        terms=(
            steps("trade", (1.0, 3.0), levels=("steel",)),
            area,
            steps("code", (1.0, 3.0), levels=("1",)),
            steps("flag", (1.0, 7.0), edges=(0.5,)),
            steps("rate", (1.0, 100.0), edges=(0.7,)),
        ),
        calibration=Calibration(method="none"),
        factor=1.0,
        offset=600.0,
        rate=1.0,
        base=0.0,
        grades=(650, 600),
        cutoff="score",
        approve=600.0,
        decline=500.0,
    )


def check(found: list[Any]) -> None:
    told = [tuple(float(points) for points in row) for row in found]
    assert sorted(told) == sorted(points for _, points in ROWS)


POINTS = ", ".join(f"ws_points_{name}" for name in NAMES[:-1])


def query(sqlite: bool = False) -> str:
    return f"SELECT {POINTS} FROM ({as_sql(formula(), 't', sqlite=sqlite).strip().rstrip(';')}) AS s"


def test_columns_that_tell_rows_apart_are_kept_of_a_table_in_a_schema() -> None:
    with duckdb.connect() as book:
        book.execute("CREATE SCHEMA risk; CREATE TABLE risk.t AS SELECT 'A1' AS \"the id\", 'x' AS trade, 0.5 AS grid_part")
        book.execute("ALTER TABLE risk.t ADD COLUMN area TEXT; ALTER TABLE risk.t ADD COLUMN code TEXT")
        book.execute("ALTER TABLE risk.t ADD COLUMN flag BOOLEAN; ALTER TABLE risk.t ADD COLUMN rate REAL")
        found = book.execute(as_sql(formula(), "risk.t", keep=("the id", "rate", "the id"))).df()
    columns = ["the id", "trade", "area", "code", "flag", "rate", "grid_part"]
    assert list(found)[: len(columns)] == columns and found["the id"].tolist() == ["A1"]


def test_sqlite_reads_columns_as_files_are() -> None:
    with sqlite3.connect(":memory:") as book:
        book.execute("CREATE TABLE t (trade TEXT, area CHAR(3), code REAL, flag BOOLEAN, rate REAL, grid_part REAL)")
        book.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", [row for row, _ in ROWS])
        check(book.execute(query(sqlite=True)).fetchall())
        edge = 0.1 + 0.2  # 17 digits, of which its text has 15
        near = formula().model_copy(update={"terms": (steps("rate", (1.0, 100.0), edges=(edge,)),)})
        book.execute("UPDATE t SET rate = ?", (edge,))
        exact = f"SELECT DISTINCT ws_points_rate FROM ({as_sql(near, 't', sqlite=True).strip().rstrip(';')}) AS s"
        assert book.execute(exact).fetchall() == [(100.0,)]
        with pytest.raises(sqlite3.OperationalError):
            book.execute(query())  # the other databases' query, by which numbers lose digits here


def test_duckdb_reads_columns_as_files_are() -> None:
    with duckdb.connect() as book:
        book.execute(
            "CREATE TABLE t (trade VARCHAR, area VARCHAR, code DOUBLE, flag BOOLEAN, rate FLOAT, grid_part DECIMAL(4, 2))"
        )
        book.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", [row for row, _ in ROWS])
        check(book.execute(query()).fetchall())


def test_postgresql_reads_columns_as_files_are(postgres: str) -> None:
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        made = "trade VARCHAR, area CHAR(5), code DOUBLE PRECISION, flag BOOLEAN, rate REAL, grid_part NUMERIC(4, 2)"
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE t ({made})")
        for row, _ in ROWS:
            connection.exec_driver_sql("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s)", row)
        check(connection.exec_driver_sql(query()).fetchall())
    engine.dispose()
