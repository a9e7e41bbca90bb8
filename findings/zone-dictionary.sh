#!/usr/bin/env bash
# pyarrow 26.0.1: instants with a named zone lose the zone's name through Parquet if they are dictionary-coded, and become UTC.
# Two columns hold the same instant, 1 February 2024, 00:00 in Shanghai; the second one is dictionary-coded, as a category of
# pandas or a column that is read with read_dictionary is. Expected: the type that was written, as for the first.
# Seen on 2026-11-28, Python 3.11:
#   plain: timestamp[us, tz=Asia/Shanghai], month 2
#   coded: timestamp[us, tz=UTC], month 1
# The instant is the same and its month is not: a monthly table shifts by one. The schema in the file's metadata has the zone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1 tzdata
"$folder/env/bin/python" - "$folder/t.parquet" <<'END'
import sys
from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

moment = pa.array([datetime(2024, 1, 31, 16, tzinfo=timezone.utc)], pa.timestamp("us", "Asia/Shanghai"))
pq.write_table(pa.table({"plain": moment, "coded": moment.dictionary_encode()}), sys.argv[1])
read = pq.read_table(sys.argv[1])
seen = {}
for name in ("plain", "coded"):
    column = read[name]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    seen[name] = str(kind), pc.month(column.cast(kind))[0].as_py()
    print(f"{name}: {seen[name][0]}, month {seen[name][1]}")
expected = {"plain": ("timestamp[us, tz=Asia/Shanghai]", 2), "coded": ("timestamp[us, tz=UTC]", 1)}
raise SystemExit(seen != expected)
END
