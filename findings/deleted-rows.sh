#!/usr/bin/env bash
# pandas 3.1.1 with pyarrow 26.0.1: read_parquet of the folder of a Delta table gives rows that were deleted, and kept ones twice.
# A Delta table is Parquet files and a log of which are in force; a deletion writes a new file and leaves the old one. Row B is deleted,
# as of an enterprise that withdraws its consent. Expected: A and C, or a refusal of a folder whose files are not all in force.
# Seen on 2026-11-30, Python 3.11, deltalake 1.6.6:
#   by the log: A C
#   by read_parquet: A A B C C
# It opens the folder without a word: names that begin with "_" are passed over, and so is the log.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check deltalake==1.6.6 pandas==3.1.1 pyarrow==26.0.1
"$folder/env/bin/python" -W error - "$folder/meters" <<'END'
import sys

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

path = sys.argv[1]
write_deltalake(path, pa.table({"id": ["A", "B", "C"], "kwh": [1.0, 2.0, 3.0]}))
DeltaTable(path).delete("id = 'B'")
in_force = sorted(DeltaTable(path).to_pyarrow_table()["id"].to_pylist())
read = sorted(pd.read_parquet(path)["id"])
print("by the log:", *in_force)
print("by read_parquet:", *read)
raise SystemExit(not (in_force == ["A", "C"] and read == ["A", "A", "B", "C", "C"]))
END
