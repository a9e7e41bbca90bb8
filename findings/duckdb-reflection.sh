#!/usr/bin/env bash
# duckdb-engine 0.17.0 with DuckDB 2.0.1 and SQLAlchemy 2.1.9: the names of tables can be read, the columns of a table cannot.
# Expected: a table of three columns is reflected, as from any database; plain queries over the same connection work.
# Seen on 2026-11-28, Python 3.11:
#   tables: ['bills']; rows: 3
#   columns: ProgrammingError, Binder Error: Referenced table "pg_catalog.pg_collation" not found!
# The dialect asks as PostgreSQL's does, and this DuckDB has no such catalogue table, so pandas.read_sql_table and all that
# reflects end here, while read_sql_query works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1 duckdb-engine==0.17.0 sqlalchemy==2.1.9
cd "$folder"
"$folder/env/bin/python" -W ignore - <<'END'
import duckdb
import sqlalchemy

with duckdb.connect("power.duckdb") as file:
    file.execute("create table bills(id varchar, month date, amount decimal(12, 2))")
    file.execute("insert into bills values ('A', '2025-01-01', 1.5), ('A', '2025-02-01', 2), ('B', '2025-01-01', null)")
engine = sqlalchemy.create_engine("duckdb:///power.duckdb")
names = sqlalchemy.inspect(engine).get_table_names()
with engine.connect() as connection:
    rows = connection.execute(sqlalchemy.text("select count(*) from bills")).scalar_one()
print(f"tables: {names}; rows: {rows}")
try:
    said = str(sqlalchemy.inspect(engine).get_columns("bills"))
except sqlalchemy.exc.ProgrammingError as error:
    said = f"ProgrammingError, {str(error.orig).splitlines()[0]}"
print(f"columns: {said}")
raise SystemExit(names != ["bills"] or rows != 3 or "pg_collation" not in said)
END
