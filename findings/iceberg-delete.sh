#!/usr/bin/env bash
# pyiceberg 0.12.0: a delete takes rows that a scan with the same filter does not show, and which ones depends on the files they are in.
# Loans whose status or balance is not known, a null and a NaN. Expected: the rows that the scan shows are gone, others are left.
# Seen on 2026-12-01, Python 3.11, warnings being errors:
#   status != 'open'  scan: [3]  deleted, all in one file: [3]  a file of each two: [1, 2, 3]
#   balance = 100.0   scan: [1]  deleted, all in one file: [1]  a file of each two: [1, 2]
# A file is dropped whole where its statistics say that all of its rows match: a null is not 'open' there, though no row of it is shown, and
# the bounds of a column say nothing of a NaN.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check 'pyiceberg[sql-sqlite,pyarrow]==0.12.0' pyarrow==26.0.1
cd "$folder"
env/bin/python - <<'END'
import os
import warnings

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

warnings.simplefilter("error")
catalog = SqlCatalog("c", uri=f"sqlite:///{os.getcwd()}/catalog.db", warehouse=f"file://{os.getcwd()}/tables")
catalog.create_namespace("loans")
schema = pa.schema([("id", pa.int64()), ("status", pa.string()), ("balance", pa.float64())])
nan = float("nan")
given = {
    "status != 'open'": [(1, None, 100.0), (2, None, 200.0), (3, "closed", 300.0), (4, "open", 400.0)],
    "balance = 100.0": [(1, "open", 100.0), (2, "open", nan), (3, "open", 300.0), (4, "open", nan)],
}


def ids(scan):
    return sorted(scan.to_arrow()["id"].to_pylist())


found = {}
for k, (rule, rows) in enumerate(given.items()):
    deleted = []
    for files in ([rows], [rows[:2], rows[2:]]):
        table = catalog.create_table(f"loans.t{k}of{len(files)}", schema=schema)
        for part in files:
            table.append(pa.table(dict(zip(schema.names, zip(*part))), schema=schema))
        shown = ids(table.scan(row_filter=rule))
        table.delete(rule)
        deleted.append(sorted({1, 2, 3, 4} - set(ids(table.scan()))))
    found[rule] = [shown, *deleted]
    print(f"{rule:17} scan: {shown}  deleted, all in one file: {deleted[0]}  a file of each two: {deleted[1]}")
raise SystemExit(found != {"status != 'open'": [[3], [3], [1, 2, 3]], "balance = 100.0": [[1], [1], [1, 2]]})
END
