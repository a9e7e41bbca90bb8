#!/usr/bin/env bash
# fastparquet 2026.9.0 with pandas 3.1.1: with times="int96", as Hive and Impala want it, timestamps are written as nanoseconds
# whatever they count. Those of pandas 3 count microseconds where texts are read: a thousandth of the time since 1970 is left.
# Three month-ends of 2024 as a CSV gives them. Expected: the same days from the Parquet file.
# Seen on 2026-11-30, Python 3.11:
#   written:                  2024-01-31 2024-02-29 2024-03-31
#   read by pyarrow 26.0.1:   1970-01-20 1970-01-20 1970-01-20
#   read by fastparquet:      1970-01-20 1970-01-20 1970-01-20
#   written as nanoseconds:   2024-01-31 2024-02-29 2024-03-31
# All months of a portfolio are one, of 1970; nothing warns.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
env/bin/python -W error::UserWarning - <<'END'
import io

import fastparquet
import pandas as pd
import pyarrow.parquet as pq

days = ["2024-01-31", "2024-02-29", "2024-03-31"]
table = pd.read_csv(io.StringIO("\n".join(["month", *days])), parse_dates=["month"])
shown = {"written:": table}
fastparquet.write("us.parquet", table, times="int96")
shown["read by pyarrow 26.0.1:"] = pq.read_table("us.parquet").to_pandas()
shown["read by fastparquet:"] = fastparquet.ParquetFile("us.parquet").to_pandas()
fastparquet.write("ns.parquet", table.astype("datetime64[ns]"), times="int96")
shown["written as nanoseconds:"] = pq.read_table("ns.parquet").to_pandas()
found = [list(frame["month"].dt.strftime("%Y-%m-%d")) for frame in shown.values()]
for name, dates in zip(shown, found, strict=True):
    print(f"{name:25}", *dates)
raise SystemExit(found != [days, ["1970-01-20"] * 3, ["1970-01-20"] * 3, days])
END
