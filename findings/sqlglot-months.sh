#!/usr/bin/env bash
# sqlglot 30.30.0: months between two dates, DATEDIFF(month, ...) of SQL Server and Snowflake, are months of 30 days in SQLite's SQL and days in
# MySQL's, also where whatever cannot be translated is to be an error; a month later is not the end of the next in SQLite's either.
# Expected: the number of months, as in DuckDB's and Snowflake's own, or an error.
# Seen on 2026-12-01, Python 3.11, run by SQLite and DuckDB 2.0.1:
#   2023-02-01 to 2023-03-01: DuckDB 1, SQLite 0; 2014-01-01 to 2024-01-01: DuckDB 120, SQLite 121
#   2024-01-31 and a month: DuckDB 2024-02-29, SQLite 2024-03-02
#   for MySQL: SELECT DATEDIFF(CAST('2023-03-01' AS DATE), CAST('2023-02-01' AS DATE))
# MySQL's DATEDIFF takes two dates and counts days: a loan of ten years is one of 3,652 "months".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check sqlglot==30.30.0 duckdb==2.0.1
cd "$folder"
env/bin/python - <<'END'
import sqlite3

import duckdb
import sqlglot

lite, duck = sqlite3.connect(":memory:"), duckdb.connect()


def to(dialect, text):
    return sqlglot.transpile(text, read="snowflake", write=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)[0]


def both(text):
    return duck.execute(to("duckdb", text)).fetchone()[0], lite.execute(to("sqlite", text)).fetchone()[0]


def months(first, last):
    return f"SELECT DATEDIFF(month, CAST('{first}' AS DATE), CAST('{last}' AS DATE))"


short, long = both(months("2023-02-01", "2023-03-01")), both(months("2014-01-01", "2024-01-01"))
end = tuple(str(value)[:10] for value in both("SELECT DATEADD(month, 1, CAST('2024-01-31' AS DATE))"))
mysql = to("mysql", months("2023-02-01", "2023-03-01"))
print("2023-02-01 to 2023-03-01: DuckDB {}, SQLite {}; ".format(*short), end="")
print("2014-01-01 to 2024-01-01: DuckDB {}, SQLite {}".format(*long))
print("2024-01-31 and a month: DuckDB {}, SQLite {}".format(*end))
print("for MySQL:", mysql)
same = mysql == "SELECT DATEDIFF(CAST('2023-03-01' AS DATE), CAST('2023-02-01' AS DATE))"
raise SystemExit(not (short == (1, 0) and long == (120, 121) and end == ("2024-02-29", "2024-03-02") and same))
END
