#!/usr/bin/env bash
# sqlglot 30.30.0: NUMERIC of PostgreSQL, which has as many digits as a value needs, is translated to DECIMAL of other databases,
# which has three decimals in DuckDB, as here, and none in MySQL, Hive and Spark. Nothing warns, unsupported_level="raise" neither.
# An expected loss, PD by LGD by exposure, of a PD of 0.0004. Expected: 180, as PostgreSQL gives, or an error.
# Seen on 2026-11-30, Python 3.11, DuckDB 2.0.1:
#   DuckDB:  SELECT CAST(pd AS DECIMAL) * 0.45 * exposure AS loss FROM loans
#   CAST('0.0004' AS DECIMAL) is 0.000, of type DECIMAL(18,3); the expected loss is 0
#   MySQL:   SELECT CAST(pd AS DECIMAL) * 0.45 * exposure AS loss FROM loans
# Points, odds and rates of a scorecard moved to another database are rounded to three places, or to whole numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check sqlglot==30.30.0 duckdb==2.0.1
"$folder/env/bin/python" -W error - <<'END'
import duckdb
import sqlglot
from sqlglot import ErrorLevel


def translated(target: str) -> str:
    query = "SELECT pd::numeric * 0.45 * exposure AS loss FROM loans"
    return sqlglot.transpile(query, read="postgres", write=target, unsupported_level=ErrorLevel.RAISE)[0]


database = duckdb.connect()
database.execute("CREATE TABLE loans AS SELECT '0.0004' AS pd, 1000000 AS exposure")
((loss,),) = database.execute(translated("duckdb")).fetchall()
((cast, kind),) = database.execute("SELECT CAST(pd AS DECIMAL), typeof(CAST(pd AS DECIMAL)) FROM loans").fetchall()
((right,),) = database.execute("SELECT pd::DOUBLE * 0.45 * exposure FROM loans").fetchall()
print("DuckDB: ", translated("duckdb"))
print(f"CAST('0.0004' AS DECIMAL) is {cast}, of type {kind}; the expected loss is {float(loss):g}, by doubles {right:g}")
others = [translated(target) for target in ("mysql", "hive", "spark")]
print("MySQL:  ", others[0])
bare = all("CAST(pd AS DECIMAL)" in query for query in [translated("duckdb"), *others])
raise SystemExit(not (bare and loss == 0 and kind == "DECIMAL(18,3)" and abs(right - 180) < 1e-9))
END
