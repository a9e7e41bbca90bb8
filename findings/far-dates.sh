#!/usr/bin/env bash
# pyarrow 26.0.1: 9999-12-31 in a Parquet column of INT96, as Spark, Hive and Impala write timestamps, is read as a day of 1816.
# "Until further notice" is written so in tables of contracts and authorisations. Expected: the day that was written, as from a column of
# microseconds, or an error, as a cast of that day to nanoseconds gives one.
# Seen on 2026-11-29, Python 3.11:
#   pyarrow 26.0.1, and pandas and fastparquet by the same counts: 2024-01-01, 1816-03-29
#   polars 2.1.0, DuckDB 2.0.1: 2024-01-01, 9999-12-31
# INT96 is read as nanoseconds in 64 bits, which end in 2262, and what is beyond wraps round without a word; coerce_int96_timestamp_unit
# = "us" reads it right. A contract that never ends has ended two centuries ago, and is filtered out with the expired.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
"$folder/env/bin/python" - "$folder/contracts.parquet" <<'END'
import sys
from datetime import date, datetime

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

path = sys.argv[1]
until = [datetime(2024, 1, 1), datetime(9999, 12, 31)]
pq.write_table(pa.table({"until": pa.array(until, pa.timestamp("us"))}), path, use_deprecated_int96_timestamps=True)
plain = [moment.date() for moment in until]
seen = {
    "pyarrow": [day.as_py() for day in pq.read_table(path)["until"].cast(pa.date32())],
    "pyarrow, microseconds": [day.as_py() for day in pq.read_table(path, coerce_int96_timestamp_unit="us")["until"].cast(pa.date32())],
    "polars": [moment.date() for moment in polars.read_parquet(path)["until"]],
    "DuckDB": [moment.date() for (moment,) in duckdb.sql(f"select until from '{path}'").fetchall()],
}
for name, days in seen.items():
    print(f"{name}: {', '.join(map(str, days))}")
right = all(days == plain for name, days in seen.items() if name != "pyarrow")
raise SystemExit(not (right and seen["pyarrow"] == [date(2024, 1, 1), date(1816, 3, 29)]))
END
