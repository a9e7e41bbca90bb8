#!/usr/bin/env bash
# pyarrow 26.0.1 on CPython 3.12 and newer: a program that has imported pyarrow and started no thread is told at os.fork that it
# is multi-threaded and that its child may deadlock; multiprocessing's fork and fork servers that preload pyarrow likewise.
# Expected: no warning, as without the import. Seen on 2026-11-29, Linux x86_64, Python 3.12.1 and 3.13.0: the process has a thread
# named jemalloc_bg_thd from the import on, whichever allocator ARROW_DEFAULT_MEMORY_POOL names, mimalloc and system too;
# threading.active_count() is 1, and the warning comes by the count of the operating system's threads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for python in python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[23].*/bin/python none; do
  "$python" -c '' 2> /dev/null && break
done
[ "$python" != none ] || { echo "needs Python 3.12 or 3.13"; exit 1; }
"$python" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1
cat > "$folder/fork.py" <<'END'
import os
import sys
import threading
import warnings
from pathlib import Path

if sys.argv[1] == "arrow":
    import pyarrow as pa

    print("default allocator:", pa.default_memory_pool().backend_name)
threads = sorted((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    if os.fork() == 0:
        os._exit(0)
    os.wait()
told = any("multi-threaded" in str(one.message) for one in caught)
print(sys.version.split()[0], "Python's threads:", threading.active_count(), "the system's:", len(threads), "warned:", told)
alike = told == (sys.argv[1] == "arrow") and ("jemalloc_bg_thd" in threads) == told and threading.active_count() == 1
raise SystemExit(not alike)
END
"$folder/env/bin/python" "$folder/fork.py" none
for pool in mimalloc system; do
  ARROW_DEFAULT_MEMORY_POOL=$pool "$folder/env/bin/python" "$folder/fork.py" arrow
done
