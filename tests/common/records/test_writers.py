"""One table, written by everybody who writes tables, in the types that each has: one set of features, bit for bit."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from common.config import validate
from common.errors import DataError
from common.records.build import Features, build
from common.records.clean import clean
from common.records.config import RecordsConfig
from common.records.entries import make
from common.records.samples import Samples
from common.records.source import read
from tests.common.records import mariadb, postgres

ZONE = "Asia/Shanghai"
RECIPES = make(
    {"kind": "mean", "field": "consumption", "window": 3},
    {"kind": "last", "field": ["owed", "single"]},
    {"kind": "share", "field": "late", "window": 3},
    {"kind": "static", "field": "area"},
)
COLUMNS = ["id", "month", "kwh", "owed", "single", "late", "area"]


def rows() -> list[tuple[Any, ...]]:
    """id, month, kwh of two decimals, an amount that is not always known, a number of few digits, a flag, a category."""
    r = np.random.default_rng(8)
    return [
        (
            f"{k:08d}", datetime.date(2024, m, 1), Decimal(int(r.integers(0, 10**7))) / 100,
            None if r.random() < 0.2 else Decimal(int(r.integers(0, 10**5))) / 100,
            float(np.float32(int(r.integers(0, 1000)) / 10)),
            bool(r.random() < 0.3), str(r.choice(["华东", "north, east", "s"])),
        )
        for k in range(40)
        for m in range(1, 7)
    ]  # fmt: skip


ROWS = rows()


def frame(**kinds: Any) -> pd.DataFrame:
    made = pd.DataFrame(ROWS, columns=COLUMNS)
    return made.assign(**{name: kind(made[name]) for name, kind in kinds.items()})


def numbers(column: pd.Series) -> pd.Series:
    return column.astype(float)


def plain() -> pd.DataFrame:
    return frame(kwh=numbers, owed=numbers)


def text_csv(folder: Path, encoding: str) -> dict[str, Any]:
    plain().to_csv(folder / "t.csv", index=False, encoding=encoding)
    return {"path": str(folder / "t.csv")}


def pandas_parquet(folder: Path) -> dict[str, Any]:
    plain().assign(month=lambda f: pd.to_datetime(f.month)).to_parquet(folder / "t.parquet")
    return {"path": str(folder / "t.parquet")}


def polars_file(folder: Path, kind: str) -> dict[str, Any]:
    made = pl.DataFrame(ROWS, schema=COLUMNS, orient="row").with_columns(pl.col("single").cast(pl.Float32))
    made.write_parquet(folder / "t.out") if kind == "parquet" else made.write_csv(folder / "t.out")
    return {"path": str(folder / "t.out")}


def duckdb_parquet(folder: Path) -> dict[str, Any]:
    with closing(duckdb.connect()) as database:
        _fill_duckdb(database)
        database.execute(f"COPY t TO '{folder / 't.parquet'}' (FORMAT parquet)")
    return {"path": str(folder / "t.parquet")}


def duckdb_file(folder: Path) -> dict[str, Any]:
    with closing(duckdb.connect(str(folder / "t.duckdb"))) as database:
        _fill_duckdb(database)
    return {"url": f"duckdb:///{folder / 't.duckdb'}"}


def _fill_duckdb(database: Any) -> None:
    database.execute(
        "CREATE TABLE t (id VARCHAR, month DATE, kwh DECIMAL(12,2), owed DECIMAL(18,6), single FLOAT, late BOOLEAN,"
        " area VARCHAR)"
    )
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", ROWS)


def spark_int96(folder: Path) -> dict[str, Any]:
    """As Spark in Shanghai writes: local midnights as instants, in INT96; decimals as such; text as bytes of Hive."""
    at = [datetime.datetime.combine(row[1], datetime.time()) - datetime.timedelta(hours=8) for row in ROWS]
    columns = [[row[k] for row in ROWS] for k in range(len(COLUMNS))]
    kinds = [
        pa.binary(),
        pa.timestamp("ns"),
        pa.decimal128(12, 2),
        pa.decimal128(38, 18),
        pa.float32(),
        pa.bool_(),
        pa.string(),
    ]
    columns[0], columns[1] = [row[0].encode() for row in ROWS], at
    table = pa.table([pa.array(c, kind) for c, kind in zip(columns, kinds, strict=True)], names=COLUMNS)
    pq.write_table(table, folder / "t.parquet", use_deprecated_int96_timestamps=True)
    return {"path": str(folder / "t.parquet"), "zone": ZONE}


def parts(folder: Path) -> dict[str, Any]:
    """A half by each of three writers, in a folder."""
    whole = folder / "parts"
    whole.mkdir()
    plain().iloc[:100].to_csv(whole / "p-2.csv", index=False)
    typed = plain().iloc[100:170].assign(late=lambda f: f.late.astype(int))
    typed.to_parquet(whole / "p-9.parquet")
    frame().iloc[170:].assign(late=lambda f: f.late.astype(float)).to_parquet(whole / "p-10.parquet")
    return {"path": str(whole)}


def excel(folder: Path) -> dict[str, Any]:
    plain().to_excel(folder / "t.xlsx", index=False)
    return {"path": str(folder / "t.xlsx")}


def sqlite(folder: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(folder / "t.db")) as database, database:
        database.execute("CREATE TABLE t (id TEXT, month TEXT, kwh REAL, owed NUMERIC, single REAL, late INTEGER, area TEXT)")
        values = [(i, str(m), float(k), None if o is None else str(o), s, int(w), a) for i, m, k, o, s, w, a in ROWS]
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return {"url": f"sqlite:///{folder / 't.db'}"}


WRITERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "pandas, Parquet": pandas_parquet,
    "Polars, Parquet": lambda folder: polars_file(folder, "parquet"),
    "Polars, CSV": lambda folder: polars_file(folder, "csv"),
    "DuckDB, Parquet": duckdb_parquet,
    "DuckDB, its file": duckdb_file,
    "Spark, INT96": spark_int96,
    "SQLite": sqlite,
    "Excel": excel,
    "three files of two writers": parts,
    "CSV, GB 18030": lambda folder: text_csv(folder, "gb18030"),
    "CSV, UTF-16": lambda folder: text_csv(folder, "utf-16"),
    "CSV, UTF-8 with a mark": lambda folder: text_csv(folder, "utf-8-sig"),
}


def settings(source: dict[str, Any], monkeypatch: pytest.MonkeyPatch, table: str = "t") -> RecordsConfig:
    place: dict[str, Any] = {"path": source["path"]} if "path" in source else {"sql": {"url_env": "T_URL", "table": table}}
    if "url" in source:
        monkeypatch.setenv("T_URL", source["url"])
    raw = {
        "party": "grid",
        "source": place,
        "keys": {"id": "id", "month": "month", **({"zone": source["zone"]} if "zone" in source else {})},
        "fields": {
            "consumption": {"column": "kwh", "malformed": "refuse", "outliers": {"rule": "keep"}},
            "owed": {"column": "owed", "malformed": "refuse"},
            "single": {"column": "single", "malformed": "refuse"},
            "late": {"column": "late", "kind": "flag", "malformed": "refuse", "impossible": "refuse"},
            "area": {"column": "area", "kind": "categorical"},
        },
    }
    return validate(RecordsConfig, raw, "records.toml")


def features(config: RecordsConfig) -> Features:
    return build(clean(config, read(config)).panel, RECIPES, Samples(min_history=1))


def same(one: Features, other: Features) -> None:
    assert one.ids.tolist() == other.ids.tolist() and one.periods.tolist() == other.periods.tolist()
    for name, values in one.columns.items():
        others = other.columns[name]
        if isinstance(values, np.ndarray):
            assert isinstance(others, np.ndarray) and values.tobytes() == others.tobytes(), name
        else:
            assert not isinstance(others, np.ndarray) and values.levels == others.levels
            assert values.codes.tolist() == others.codes.tolist()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """Of the plain CSV, whose numbers are text."""
    source = text_csv(tmp_path_factory.mktemp("plain"), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        return features(settings(source, patch))


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_gives_the_same_features(
    writer: str, expected: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same(expected, features(settings(WRITERS[writer](tmp_path), monkeypatch)))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    try:
        with postgres.server() as url:
            yield url
    except FileNotFoundError as error:
        pytest.skip(str(error))


KINDS = {  # of PostgreSQL: month, kwh
    "date, numeric": ("date", "numeric(12, 2)"),
    "timestamptz, double precision": ("timestamptz", "double precision"),
    "text, money": ("text", "money"),
    "timestamp, real as numeric": ("timestamp", "numeric"),
}


@pytest.mark.parametrize("kinds", KINDS)
def test_postgresql_in_its_types(kinds: str, expected: Features, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    month, kwh = KINDS[kinds]
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS t"))
        connection.execute(
            sa.text(f"CREATE TABLE t (id text, month {month}, kwh {kwh}, owed numeric, single real, late boolean, area text)")
        )
        names = ", ".join(f":{name}" for name in COLUMNS).replace(":kwh", f"CAST(CAST(:kwh AS numeric) AS {kwh})")
        connection.execute(
            sa.text(f"INSERT INTO t VALUES ({names.replace(':month', f'CAST(CAST(:month AS date) AS {month})')})"),
            [dict(zip(COLUMNS, row, strict=True)) for row in ROWS],
        )
    engine.dispose()
    source = {"url": postgresql, **({"zone": ZONE} if month == "timestamptz" else {})}
    same(expected, features(settings(source, monkeypatch)))
    if month == "timestamptz":
        with pytest.raises(DataError, match="holds instants"):
            features(settings({"url": postgresql}, monkeypatch))


def test_mariadb_in_its_types(expected: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    if mariadb.binaries() is None:
        pytest.skip("no MariaDB here: install the system's mariadb-server")
    with mariadb.server() as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "CREATE TABLE t (id varchar(8), month datetime, kwh decimal(12, 2), owed double, single float,"
                    " late tinyint, area varchar(20)) CHARACTER SET utf8mb4"
                )
            )
            names = ", ".join(f":{name}" for name in COLUMNS)
            connection.execute(
                sa.text(f"INSERT INTO t VALUES ({names})"), [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
            )
        engine.dispose()
        same(expected, features(settings({"url": url}, monkeypatch)))


def test_mariadb_in_the_types_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """BIT(1) as the flag that it is; an id above all signed numbers; a date of zeros refused by its row."""
    if mariadb.binaries() is None:
        pytest.skip("no MariaDB here: install the system's mariadb-server")
    with mariadb.server() as url:
        monkeypatch.setenv("RECORDS_URL", url)
        with sa.create_engine(url).begin() as database:
            database.exec_driver_sql("set sql_mode = ''")
            database.exec_driver_sql("create table own (id bigint unsigned, month date, late bit(1))")
            database.exec_driver_sql(
                "insert into own values (18446744073709551615, '2024-01-01', b'1'), (7, '2024-01-31', b'0'),"
                " (8, '2024-01-01', null)"
            )
        raw = {
            "party": "grid", "source": {"sql": {"url_env": "RECORDS_URL", "table": "own"}},
            "keys": {"id": "id", "month": "month"}, "fields": {"arrears_record": "late"}, "samples": {"min_history": 1},
        }  # fmt: skip
        config = validate(RecordsConfig, raw, "records")
        panel = clean(config, read(config)).panel
        assert panel.ids.tolist() == ["18446744073709551615", "7", "8"]
        np.testing.assert_array_equal(panel.numeric["arrears_record"], [[1], [0], [np.nan]])
        with sa.create_engine(url).begin() as database:
            database.exec_driver_sql("set sql_mode = ''")
            database.exec_driver_sql("insert into own values (9, '0000-00-00', b'1')")
        with pytest.raises(DataError, match=r"row 4, column 'month': '0000-00-00': not a month"):
            clean(config, read(config))
