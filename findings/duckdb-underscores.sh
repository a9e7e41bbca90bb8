#!/usr/bin/env bash
# DuckDB 2.0.1: a text with underscores between digits is a number without them: meters 1001_01 (register 1 of device 1001) and 100_101
# are both 100101. A join or a comparison of texts with whole numbers casts by itself and matches both; so do TRY_CAST, by which texts
# that are no numbers are told, and COPY into a table of numbers. Expected: no match, NULL, an error, as for 1001-01.
# Seen on 2026-11-30, Python 3.11:
#   joined with account 100101:   ['1001_01', '100_101']   1001-01: Conversion Error
#   TRY_CAST:                     100101, 100101, None (of 1001-01)
#   copied into BIGINT:           [(100101, 202401), (100101, 202401)]
# The manual has underscores for literals that somebody writes into a query; that values of a column are read so it does not say.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/env/bin/python" - "$folder" <<'END'
import sys
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
book = duckdb.connect()


def joined(ids: list[str]) -> object:
    (folder / "meters.csv").write_text("\n".join(["meter,month", *(f"{meter},2024_01" for meter in ids)]) + "\n")
    query = f"SELECT meter FROM '{folder}/meters.csv' JOIN (SELECT 100101::BIGINT AS account) ON meter = account ORDER BY ALL"
    try:
        return [meter for (meter,) in book.sql(query).fetchall()]
    except duckdb.ConversionException as error:
        return type(error).__name__


print("duckdb", duckdb.__version__)
dashed, found = joined(["1001-01"]), joined(["1001_01", "100_101"])
print("joined:", found, dashed)
cast = book.sql("SELECT try_cast('1001_01' AS BIGINT), try_cast('100_101' AS BIGINT), try_cast('1001-01' AS BIGINT)").fetchall()[0]
print("TRY_CAST:", cast)
book.sql("CREATE TABLE meters (meter BIGINT, month INTEGER)")
book.sql(f"COPY meters FROM '{folder}/meters.csv' (HEADER)")
copied = book.sql("SELECT * FROM meters").fetchall()
print("copied:", copied)
same = found == ["1001_01", "100_101"] and dashed == "ConversionException" and cast == (100101, 100101, None)
raise SystemExit(not (same and copied == [(100101, 202401)] * 2))
END
