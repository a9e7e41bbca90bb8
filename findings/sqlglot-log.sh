#!/usr/bin/env bash
# sqlglot 30.30.0: LOG of one argument, to base 10 in PostgreSQL, DuckDB and SQLite, is translated to LOG of MySQL, SQL Server, Spark,
# Hive, BigQuery and ClickHouse, where it is the natural logarithm, and to LN of Snowflake.
# Expected: LOG10, or LOG of two arguments, as sqlglot writes it where the query says LOG10. It knows better on the way back.
# Seen on 2026-11-30, Python 3.11:
#   PostgreSQL:   SELECT 20 * LOG(odds) FROM scores   (20 where odds are 10)
#   Snowflake:    SELECT 20 * LN(odds) FROM scores    (46.05)
#   Spark:        SELECT 20 * LOG(odds) FROM scores   (46.05), which is read back for PostgreSQL as 20 * LN(odds)
# Each point of a scorecard is worth 2.3 times as much; nothing warns, unsupported_level="raise" neither.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check sqlglot==30.30.0 duckdb==2.0.1
"$folder/env/bin/python" -W error - <<'END'
import duckdb
import sqlglot
from sqlglot import ErrorLevel


def translated(query: str, source: str, target: str) -> str:
    return sqlglot.transpile(query, read=source, write=target, unsupported_level=ErrorLevel.RAISE)[0]


given = "SELECT 20 * LOG(odds) FROM scores"
wrong = ["20 * LN(odds)" in translated(given, source, "snowflake") for source in ("postgres", "duckdb", "sqlite")]
print("Snowflake: ", translated(given, "postgres", "snowflake"))
points = set()
database = duckdb.connect()
database.execute("CREATE TABLE scores AS SELECT 10.0 AS odds")
for target in ("mysql", "tsql", "spark", "hive", "bigquery", "clickhouse"):
    there = translated(given, "postgres", target)
    back = translated(there, target, "duckdb")  # LOG and LN of DuckDB are those of PostgreSQL
    ((score,),) = database.execute(back).fetchall()
    points.add(round(score, 2))
    print(f"{target:11} {there}   back: {back}   {score:.2f}")
((right,),) = database.execute(given).fetchall()
print("as written:", right)
raise SystemExit(not (all(wrong) and points == {46.05} and right == 20))
END
