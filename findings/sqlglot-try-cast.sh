#!/usr/bin/env bash
# sqlglot 30.30.0: TRY_CAST, by which a text that is no number is missing, becomes a plain CAST for SQLite and MySQL, which make 0 of it; no
# error is raised, though whatever cannot be translated is to be one.
# Turnovers as they were typed, n/a for a third of them. Expected: the mean of those that are numbers, or an error.
# Seen on 2026-12-01, Python 3.11:
#   DuckDB 2.0.1: mean 300.0, missing 1   SQLite: mean 200.0, missing 0   for MySQL: CAST(turnover AS DOUBLE)
# A rule for enterprises of turnover 0 takes those of whom nothing is known.
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
for database in (lite, duck):
    database.execute("CREATE TABLE typed AS SELECT '200' AS turnover UNION ALL SELECT '400' UNION ALL SELECT 'n/a'")
query = "SELECT AVG(TRY_CAST(turnover AS DOUBLE)), SUM(CASE WHEN TRY_CAST(turnover AS DOUBLE) IS NULL THEN 1 ELSE 0 END) FROM typed"
lines = {
    dialect: sqlglot.transpile(query, read="duckdb", write=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)[0]
    for dialect in ("sqlite", "mysql")
}
a, b = duck.execute(query).fetchone(), lite.execute(lines["sqlite"]).fetchone()
cast = lines["mysql"][lines["mysql"].index("CAST") :].split(")")[0] + ")"
print(f"DuckDB {duckdb.__version__}: mean {a[0]}, missing {a[1]}   SQLite: mean {b[0]}, missing {b[1]}   for MySQL: {cast}")
raise SystemExit(not (a == (300.0, 1) and b == (200.0, 0) and lines["mysql"].startswith("SELECT AVG(CAST(")))
END
