#!/usr/bin/env bash
# pyarrow 26.0.1: after set_memory_pool Parquet files are still written and read with memory of the pool of before; what is counted of the one
# that was set leaves it out.
# A column of 16 MB, written and read back. Expected: no byte of the other pool, as where the pool is set by a variable before the import.
# Seen on 2026-12-01, Python 3.11, Linux, most MB of either pool:
#   set_memory_pool(system_memory_pool())   written: mimalloc 32, system 2   read: mimalloc 32, system 25
#   ARROW_DEFAULT_MEMORY_POOL=system        written: mimalloc 0, system 34   read: mimalloc 0, system 42
# A service that keeps to a limit by the pool it has set is above it by what two copies of a column take.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
env/bin/python - <<'END'
import os
import subprocess
import sys

program = """
import sys
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

pools = pa.mimalloc_memory_pool(), pa.system_memory_pool()
if sys.argv[1] == "set":
    pa.set_memory_pool(pools[1])
table = pa.table({"kWh": np.random.default_rng(0).normal(size=2_000_000)})
pq.write_table(table, "kwh.parquet")
most = [pool.max_memory() for pool in pools]
kept = pq.read_table("kwh.parquet")
print(*most, *(pool.max_memory() for pool in pools))
"""
found = []
for name, more in (("set", {"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}), ("variable", {"ARROW_DEFAULT_MEMORY_POOL": "system"})):
    run = subprocess.run([sys.executable, "-c", program, name], env={**os.environ, **more}, capture_output=True, text=True, check=True)
    found.append([round(int(word) / 1e6) for word in run.stdout.split()])
for name, (a, b, c, d) in zip(("set_memory_pool(system_memory_pool())", "ARROW_DEFAULT_MEMORY_POOL=system"), found):
    print(f"{name:37}   written: mimalloc {a}, system {b}   read: mimalloc {c}, system {d}")
raise SystemExit(not (found[0][0] > 20 and found[1][0] == found[1][2] == 0))
END
