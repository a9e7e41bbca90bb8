#!/usr/bin/env bash
# polars 2.1.0 with pyarrow 26.0.1: a CSV whose account numbers have 20 digits becomes a Parquet file that Arrow does not open at all.
# Polars takes such digits for numbers of 128 bits, for which Parquet has no type: it stores bytes, and what they are in a note for Arrow.
# Expected: a file whose other columns any reader reads.
# Seen on 2026-11-30, Python 3.11, pandas 3.1.1, DuckDB 2.0.1:
#   Polars: Int128
#   pyarrow and pandas, column kwh alone: ArrowNotImplementedError: Integers with more than 64 bits not implemented
#   DuckDB, the account: a BLOB of 16 bytes, without an error
# Who only converts CSV to Parquet hands over a file that looks damaged to the next program.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1
"$folder/env/bin/python" -W ignore - "$folder" <<'END_OF_PYTHON'
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

table = Path(sys.argv[1]) / "meters.csv"
table.write_text("meter,account,kwh\nA1,62220212345678900001,10\nA2,62220212345678900002,20\n")
frame = pl.read_csv(table)
frame.write_parquet(table.with_suffix(".parquet"))
said = []
for read in (pq.read_table, pd.read_parquet):
    try:
        read(table.with_suffix(".parquet"), columns=["kwh"])
    except pa.ArrowNotImplementedError as error:
        said.append(f"{type(error).__name__}: {error}")
kind, size = duckdb.sql(f"SELECT typeof(account), octet_length(account) FROM '{table.with_suffix('.parquet')}' LIMIT 1").fetchall()[0]
print(f"Polars: {frame.schema['account']}", *said, f"DuckDB: {kind} of {size} bytes", sep="\n")
same = ["ArrowNotImplementedError: Integers with more than 64 bits not implemented"] * 2
raise SystemExit(not (said == same and frame.schema["account"] == pl.Int128 and (kind, size) == ("BLOB", 16)))
END_OF_PYTHON
