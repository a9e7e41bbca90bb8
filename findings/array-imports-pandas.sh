#!/usr/bin/env bash
# pyarrow 26.0.1 with pandas 3.1.1: the first pyarrow.array of a list of texts imports pandas, though nothing of pandas is given.
# Expected: no import, as for a buffer or for a table read from a file. A service that makes such an array for its first caller
# stands still for that import, some 0.4 to 1.4 s here, in the thread of its event loop.
# Seen on 2026-11-28, Python 3.11:
#   after import pyarrow: False
#   after reading CSV: False
#   after pyarrow.array(["a"], pyarrow.string()): True
# Without pandas installed the same array is made without it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1
"$folder/env/bin/python" - <<'PY'
import io
import sys

import pyarrow as pa
import pyarrow.csv

seen = ["pandas" in sys.modules]
pyarrow.csv.read_csv(io.BytesIO(b"id\na\n"))
seen.append("pandas" in sys.modules)
pa.array(["a"], pa.string())
seen.append("pandas" in sys.modules)
for what, loaded in zip(("import pyarrow", "reading CSV", 'pyarrow.array(["a"], pyarrow.string())'), seen):
    print(f"after {what}: {loaded}")
raise SystemExit(seen != [False, False, True])
PY
