"""Records from databases: SQLite always, PostgreSQL where a server can be started; no URL in any message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from common.config import validate
from common.errors import ConfigError, DataError
from common.records.clean import clean
from common.records.config import RecordsConfig, Sql
from common.records.source import read
from common.records.sql import SqlRows, _cause, read_sql
from common.rows.ids import read_ids
from tests.common.records.postgres import PASSWORD, USER

COLUMNS = ["code", "month", "amount", "late", "region"]
ROWS = [
    ("91350100M000100Y43", "2024-01", 10.5, 0, "east"),
    ("91350100M000100Y43", "2024-02", None, 1, "east"),
    ("914403001922038216", "2024-01", 3.25, 0, None),
]


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    monkeypatch.setenv("RECORDS_URL", url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE monthly (code TEXT, month TEXT, amount, late INTEGER, region TEXT)"))
        connection.execute(
            sa.text("INSERT INTO monthly VALUES (:a, :b, :c, :d, :e)"), [dict(zip("abcde", r, strict=True)) for r in ROWS]
        )
    yield engine
    engine.dispose()


def sql(**keys: Any) -> Sql:
    return Sql(**({"url_env": "RECORDS_URL", "table": "monthly"} | keys))


def config(**keys: Any) -> RecordsConfig:
    raw = {
        "party": "bank",
        "source": {"sql": {"url_env": "RECORDS_URL", "table": "monthly", "chunk": 2} | keys},
        "keys": {"id": "code", "month": "month", "id_check": "uscc"},
        "fields": {"amount": "amount", "overdue": "late", "region": "region"},
    }
    return validate(RecordsConfig, raw, "records.toml")


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_a_table_is_read_in_chunks(sqlite: sa.Engine, chunk: int) -> None:
    data, origin = read_sql(sql(chunk=chunk), "bank", COLUMNS)
    assert [tuple(row.values()) for row in data.to_pylist()] == ROWS
    assert origin.places([2]) == {2: "row 3"}


def test_a_query_is_read_whatever_colons_and_percents_are_in_it(sqlite: sa.Engine) -> None:
    query = "SELECT *, ' :x %s 50%' AS odd FROM monthly WHERE month LIKE '2024%' ORDER BY amount"
    data, _ = read_sql(sql(table=None, query=query), "bank", ["amount", "odd"])
    assert data["amount"].to_pylist() == [None, 3.25, 10.5]
    assert data["odd"][0].as_py() == " :x %s 50%"


def test_records_of_a_database_are_cleaned_as_those_of_a_file(sqlite: sa.Engine) -> None:
    settings = config()
    panel = clean(settings, read(settings)).panel
    assert panel.ids.tolist() == ["91350100M000100Y43", "914403001922038216"]
    np.testing.assert_array_equal(panel.numeric["amount"], [[10.5, np.nan], [3.25, np.nan]])
    assert panel.label is not None
    np.testing.assert_array_equal(panel.label, [[0, 1], [0, np.nan]])


def test_mixed_types_within_a_column_become_text_and_bad_values_are_named_by_row(sqlite: sa.Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(sa.text("INSERT INTO monthly VALUES ('914403001922038216', '2024-03', 'oops', 0, 'west')"))
    data, _ = read_sql(sql(chunk=2), "bank", COLUMNS)
    assert data["amount"].type == pa.string()
    raw = config().model_dump()
    raw["fields"]["amount"]["malformed"] = "refuse"
    strict = validate(RecordsConfig, raw, "records.toml")
    with pytest.raises(DataError, match="table monthly: row 4, column 'amount': 'oops': not a number") as caught:
        clean(strict, read(strict))
    assert "oops" not in caught.value.public


def test_what_a_database_lacks_is_said(sqlite: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no such table or view"):
        read_sql(sql(table="monthy"), "bank", COLUMNS)
    with pytest.raises(DataError, match="no column 'ammount'; close names in the table: 'amount'"):
        read_sql(sql(), "bank", ["code", "ammount"])
    with pytest.raises(DataError, match="no column 'ammount'"):
        read_sql(sql(table=None, query="SELECT * FROM monthly"), "bank", ["code", "ammount"])
    with pytest.raises(DataError, match='refused: near "SELEKT"') as caught:
        read_sql(sql(table=None, query="SELEKT 1"), "bank", COLUMNS)
    assert "SELEKT" not in caught.value.public
    with pytest.raises(DataError, match="no rows"):
        read_sql(sql(table=None, query="SELECT * FROM monthly WHERE late > 5"), "bank", COLUMNS)
    with pytest.raises(DataError, match="floating-point"):
        read_ids(SqlRows("table monthly", "bank records"), "amount", read_sql(sql(), "bank", ["amount"])[0])
    monkeypatch.setenv("RECORDS_URL", f"sqlite:///{tmp_path / 'typo.db'}")
    with pytest.raises(DataError, match="does not exist"):
        read_sql(sql(), "bank", COLUMNS)
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize(
    "url", ["", "  ", "nonsense-hunter2", "postgresql+nodriver://u:hunter2@h/d", "oracle+x://u:hunter2@h/d"]
)
def test_a_url_that_is_no_use_is_refused_without_being_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", url)
    with pytest.raises(ConfigError, match=r"source\.sql") as caught:
        read_sql(sql(), "bank", COLUMNS)
    assert "hunter2" not in str(caught.value)


def test_a_url_in_a_file_is_for_its_owner_only(sqlite: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "records.url"
    file.write_text(f"{sqlite.url.render_as_string(hide_password=False)}\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        sql(url_env=None, url_file=file).url()
    file.chmod(0o600)
    assert read_sql(sql(url_env="NOT_SET_ANYWHERE", url_file=file), "bank", COLUMNS)[0].num_rows == 3
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        sql(url_env=None, url_file=file).url()


def test_the_url_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", "postgresql://u:hunter2@h/d")
    assert "hunter2" not in repr(config()) and "hunter2" not in repr(config().model_dump())


# PostgreSQL


@pytest.fixture(scope="module")
def database(postgres: str) -> Iterator[str]:
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        for statement in (
            "CREATE SCHEMA risk",
            "CREATE TABLE risk.monthly (code varchar(18), month date, amount numeric(14, 2), late boolean, region text,"
            " seen timestamptz, number numeric(20, 0))",
        ):
            connection.execute(sa.text(statement))
        insert = (
            "INSERT INTO risk.monthly VALUES (:a, cast(:b || '-01' AS date), :c, :d, :e, '2024-01-01 00:00+08',"
            " 12345678901234567890)"
        )
        connection.execute(sa.text(insert), [dict(zip("abcde", (*r[:3], bool(r[3]), r[4]), strict=True)) for r in ROWS])
    yield postgres
    engine.dispose()


@pytest.mark.parametrize(
    "source", [{"table": "risk.monthly"}, {"table": None, "query": "SELECT * FROM risk.monthly WHERE month::text LIKE '2024%'"}]
)
def test_postgresql_dates_decimals_and_booleans(database: str, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", database)
    settings = config(**source)
    panel = clean(settings, read(settings)).panel
    assert panel.ids.tolist() == ["91350100M000100Y43", "914403001922038216"] and panel.first == 2024 * 12
    np.testing.assert_array_equal(panel.numeric["amount"], [[10.5, np.nan], [3.25, np.nan]])
    assert panel.label is not None
    np.testing.assert_array_equal(panel.label, [[0, 1], [0, np.nan]])


def test_postgresql_zoned_months_and_long_numeric_ids_are_exact(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", database)
    raw = config(table="risk.monthly").model_dump()
    raw |= {
        "keys": {"id": "number", "month": "seen", "zone": "Asia/Shanghai"},
        "fields": {"amount": "amount"},
        "cleaning": {"duplicates": "first"},
    }
    settings = validate(RecordsConfig, raw, "records.toml")
    panel = clean(settings, read(settings)).panel
    assert panel.ids.tolist() == ["12345678901234567890"] and panel.first == 2024 * 12


def test_postgresql_refusals_name_no_secret(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", database.replace("s3cret", "wr0ng"))
    with pytest.raises(DataError, match="password authentication failed") as caught:
        read_sql(sql(table="risk.monthly"), "bank", COLUMNS)
    for secret in ("wr0ng", PASSWORD, USER, "wattscore-pg-"):
        assert secret not in str(caught.value) + caught.value.public
    monkeypatch.setenv("RECORDS_URL", database)
    with pytest.raises(DataError, match="no such table"):
        read_sql(sql(table="public.monthly"), "bank", COLUMNS)


def test_postgresql_is_only_read(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", database)
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'DELETE FROM risk.monthly RETURNING 1'"))
    with pytest.raises(DataError, match="read-only transaction"):
        read_sql(sql(table=None, query="SELECT gone() AS code"), "bank", ["code"])
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM risk.monthly")).scalar() == len(ROWS)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("oracle+nodriver://u:hunter2@h/d", "oracledb"), ("dm+dmPython://u:hunter2@h:5236", "dmSQLAlchemy"),
        ("db2+ibm_db://u:hunter2@h/d", "ibm_db_sa"), ("opengauss+psycopg2://u:hunter2@h/d", "opengauss-sqlalchemy"),
        ("mysql+mysqldb://u:hunter2@h/d", "pymysql"), ("postgresql+nodriver://u:hunter2@h/d", "psycopg[binary]"),
        ("mssql+nodriver://u:hunter2@h/d", "pymssql"), ("kingbase8+ksycopg2://u:hunter2@h/d", "ksycopg2"),
    ],
)  # fmt: skip
def test_the_remedy_names_the_driver_of_this_database(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", url)
    with pytest.raises(ConfigError, match="there is no driver") as caught:
        read_sql(sql(), "bank", COLUMNS)
    assert package in caught.value.remedy and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("postgres://u:hunter2@h/d", r"Did you mean 'postgresql'\?"), ("snowflake://hunter2@h", "Those known are postgresql,"),
        ("jdbc:oracle:thin:@h:1521:hunter2", r"Write it as oracle\+oracledb://"), ("jdbc:sqlserver://h;pw=hunter2", "mssql"),
        ("jdbc:dm://h:5236?password=hunter2", r"dm\+dmPython"), ("nonsense-hunter2", r"Write it as postgresql\+psycopg://"),
    ],
)  # fmt: skip
def test_a_url_of_another_kind_is_led_to_the_form_that_is_taken(url: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", url)
    with pytest.raises(ConfigError, match=remedy) as caught:
        read_sql(sql(), "bank", COLUMNS)
    assert "hunter2" not in str(caught.value)


def test_short_names_are_masked_as_words_alone_and_a_password_everywhere() -> None:
    refusal = sa.exc.DBAPIError("", {}, Exception("message of sa: the disk of pw, aspwb, is full?\n"))
    told = _cause(refusal, sa.make_url("postgresql://sa:pw@h/disk"))
    assert told == "the database refused: message of ***: the *** of ***, as***b, is full"


def test_a_dialect_made_for_another_sqlalchemy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ImportError("cannot import name 'sql_util'")

    monkeypatch.setattr(sa, "create_engine", broken)
    monkeypatch.setenv("RECORDS_URL", "dm://u:hunter2@h")
    with pytest.raises(ConfigError, match=r"'dm' does not work with SQLAlchemy .*sqlalchemy==2\.0\.58"):
        read_sql(sql(), "bank", COLUMNS)


def test_names_are_compared_as_databases_write_them(sqlite: sa.Engine) -> None:
    data, _ = read_sql(sql(), "bank", ["CODE", "Month"])
    assert data.column_names == ["CODE", "Month"] and data["CODE"][0].as_py() == ROWS[0][0]
    with sqlite.begin() as connection:
        connection.execute(sa.text('CREATE VIEW odd AS SELECT code AS "A", month AS "a " FROM monthly'))
    with pytest.raises(DataError, match="no column 'b'"):
        read_sql(sql(table="odd"), "bank", ["a", "b"])
