#!/usr/bin/env bash
# pandas 3.1.1 with pyarrow 26.0.1, Polars 2.1.0: texts that name the parts of a table, `branch=0012`, come back as numbers without their
# zeros, though the table that pandas wrote had texts. Where 12 is another branch, Polars takes both for one.
# Expected: 0012, as written and as DuckDB 2.0.1 reads it; a join with a table of branches finds none of the rows.
# Seen on 2026-11-30, Python 3.11: branches 0012 and 0450, and the kWh of each with a branch 12 beside them
#   pandas   [12, 450]           ValueError: Categorical categories must be unique
#   Polars   [12, 450]           {12: 3.0, 450: 4.0}
#   DuckDB   ['0012', '0450']    {'0012': 1.0, '0450': 4.0, '12': 2.0}
# With one part whose name holds a letter the same column is of texts with their zeros.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
"$folder/env/bin/python" - "$folder" <<'END'
import sys

import duckdb
import pandas as pd
import polars as pl

USE = [("0012", 1.0), ("0450", 4.0), ("12", 2.0)]
READ = {
    "pandas": lambda path: pd.read_parquet(path),
    "Polars": lambda path: pl.read_parquet(f"{path}/**/*.parquet", hive_partitioning=True).to_pandas(),
    "DuckDB": lambda path: duckdb.sql(f"SELECT * FROM '{path}/**/*.parquet'").df(),
}


def found(read, rows):
    path = f"{sys.argv[1]}/{len(rows)}"
    pd.DataFrame(rows, columns=["branch", "kwh"]).to_parquet(path, partition_cols=["branch"], existing_data_behavior="delete_matching")
    try:
        table = read(path)
    except ValueError as error:
        return f"ValueError: {error}"
    of_branch = table.groupby("branch", observed=True).kwh.sum()
    return {value if isinstance(value, str) else int(value): kwh for value, kwh in of_branch.items()}


seen = {name: (list(found(read, USE[:2])), found(read, USE)) for name, read in READ.items()}
for name, (branches, kwh) in seen.items():
    print(f"{name:8} {branches}   {kwh}")
lettered = found(READ["pandas"], [*USE, ("A7", 8.0)])
print("with A7: ", lettered)
texts = {"0012": 1.0, "0450": 4.0, "12": 2.0}
expected = {
    "pandas": ([12, 450], "ValueError: Categorical categories must be unique"),
    "Polars": ([12, 450], {12: 3.0, 450: 4.0}),
    "DuckDB": (["0012", "0450"], texts),
}
raise SystemExit(not (seen == expected and lettered == {**texts, "A7": 8.0}))
END
