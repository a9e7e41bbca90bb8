#!/usr/bin/env bash
# Polars 2.1.0: read_database cuts amounts of a DECIMAL column to whole ones, where the first 100 rows happen to be whole: 100.75 is 100.
# 400 loans in SQLite, which keeps 101.00 of such a column as a whole number. Expected: 100.75, or an error, as for a text in a number's place.
# Seen on 2026-12-01, Python 3.11, warnings being errors, SQLite of Python:
#   pandas: 60050.0   Polars: 59900 as Int64   with infer_schema_length=None: 60050.0   rows as a DataFrame: 59900
# Each 75 cents is gone; in a table sorted by another column the same query is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
env/bin/python -W error - <<'END'
import sqlite3

import pandas as pd
import polars as pl

bank = sqlite3.connect(":memory:")
bank.execute("create table loans (id integer, amount decimal(18, 2))")
bank.executemany("insert into loans values (?, ?)", [(k, 100.0 + k if k < 200 else 100.75) for k in range(400)])
query = "select amount from loans order by id"
sums = [pd.read_sql_query(query, bank)["amount"].sum()]
sums += [pl.read_database(query, bank)["amount"].sum(), pl.read_database(query, bank, infer_schema_length=None)["amount"].sum()]
sums.append(pl.DataFrame(bank.execute(query).fetchall(), schema=["amount"], orient="row")["amount"].sum())
kind = pl.read_database(query, bank).schema["amount"]
print(f"pandas: {sums[0]}   Polars: {sums[1]} as {kind}   with infer_schema_length=None: {sums[2]}   rows as a DataFrame: {sums[3]}")
raise SystemExit(not (sums == [60050.0, 59900, 60050.0, 59900] and kind == pl.Int64))
END
