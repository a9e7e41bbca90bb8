"""DuckDB files: read-only, types as they are; what DuckDB refuses is named without the path."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from common.errors import ConfigError, DataError
from common.records.config import Sql
from common.records.sql import read_sql


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hunter2.duckdb"
    with closing(duckdb.connect(str(path))) as database:
        database.execute("CREATE TABLE monthly (ID VARCHAR, kwh DECIMAL(12, 2), seen TIMESTAMPTZ)")
        database.execute("INSERT INTO monthly VALUES ('a', 1.10, '2024-01-01 00:00:00+08'), ('b', NULL, NULL)")
    monkeypatch.setenv("RECORDS_URL", f"duckdb:///{path}")
    return path


def test_a_table_and_a_query_are_read_with_names_as_the_file_has_them(file: Path) -> None:
    table, origin = read_sql(Sql(url_env="RECORDS_URL", table="monthly"), "grid", ["id", "kwh", "seen"])
    assert (
        str(table["kwh"].type) == "decimal128(12, 2)" and table["seen"].type.tz == "UTC" and origin.places([1]) == {1: "row 2"}
    )
    query, _ = read_sql(Sql(url_env="RECORDS_URL", query="SELECT id FROM monthly WHERE kwh > 1"), "grid", ["ID"])
    assert query["ID"].to_pylist() == ["a"]


def test_what_the_file_lacks_is_said_and_nothing_is_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for sql, message in (
        (Sql(url_env="RECORDS_URL", table="monthy"), "does not exist"),
        (Sql(url_env="RECORDS_URL", query="SELEKT 1"), "the database refused: "),
        (Sql(url_env="RECORDS_URL", query="SELECT kwh FROM monthly"), "no column 'id'"),
        (Sql(url_env="RECORDS_URL", query="DELETE FROM monthly"), "the database refused: "),
    ):
        with pytest.raises(DataError, match=message) as caught:
            read_sql(sql, "grid", ["id"])
        assert "hunter2" not in str(caught.value) + caught.value.public
    monkeypatch.setenv("RECORDS_URL", f"duckdb:///{file.parent / 'typo.duckdb'}")
    with pytest.raises(DataError, match="does not exist"):
        read_sql(Sql(url_env="RECORDS_URL", table="monthly"), "grid", ["id"])
    assert not (file.parent / "typo.duckdb").exists()


def test_without_the_library_it_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"pip install duckdb"):
        read_sql(Sql(url_env="RECORDS_URL", table="monthly"), "grid", ["id"])
