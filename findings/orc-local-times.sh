#!/usr/bin/env bash
# pyorc 0.12.0: a time without a zone, written to an ORC column of timestamps without a zone, is moved by the writer's own zone.
# Two first days of a month, written where the machine's zone is Asia/Shanghai. Expected: 2024-01-01 and 2024-07-01 for every reader,
# as ORC's TIMESTAMP is a local time that has no zone.
# Seen on 2026-11-30, Python 3.11:
#   written:           2024-01-01 00:00, 2024-07-01 00:00
#   read by pyarrow:   2023-12-31 16:00, 2024-06-30 16:00
#   read by pyorc:     2023-12-31 16:00, 2024-06-30 16:00
# The month before, of the year before. A writer that is told timezone=ZoneInfo("Asia/Shanghai") is right there, and is 8 hours late
# on a machine whose zone is UTC, where the writer without it was right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyorc==0.12.0 pyarrow==26.0.1 tzdata
cat > "$folder/months.py" <<'END'
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyorc
from pyarrow import orc

given = [datetime(2024, 1, 1), datetime(2024, 7, 1)]
told = {"timezone": ZoneInfo("Asia/Shanghai")} if sys.argv[2] == "told" else {}
with open(sys.argv[1], "wb") as file, pyorc.Writer(file, "struct<month:timestamp>", **told) as writer:
    writer.writerows([(month,) for month in given])
column = orc.read_table(sys.argv[1])["month"]
assert pa.types.is_timestamp(column.type) and column.type.tz is None, column.type
with open(sys.argv[1], "rb") as file:
    own = [month for (month,) in pyorc.Reader(file)]
found = {"written:": given, "read by pyarrow:": column.to_pylist(), "read by pyorc:": own}
for name, months in found.items():
    print(f"{name:18}", ", ".join(f"{month:%Y-%m-%d %H:%M}" for month in months))
hours = {(month.replace(tzinfo=None) - sent).total_seconds() / 3600 for month, sent in zip(found["read by pyarrow:"], given)}
raise SystemExit(hours != {float(sys.argv[3])})
END
cd "$folder"
TZ=Asia/Shanghai env/bin/python months.py plain.orc plain -8
TZ=Asia/Shanghai env/bin/python months.py told.orc told 0
TZ=UTC env/bin/python months.py late.orc told 8
TZ=UTC env/bin/python months.py utc.orc plain 0
