#!/usr/bin/env bash
# pyarrow 26.0.1 on glibc: what a thread has freed is not given back by malloc_trim(0), though one heap for all threads was asked
# for (M_ARENA_MAX 1) before that thread began, where pyarrow had been imported before that.
# Expected: malloc_trim gives back what is free, as it does without the import. Seen on 2026-11-30, Linux x86_64, glibc 2.36,
# Python 3.11.7: after the import 39 MiB stay resident of 39 that a thread of Python's took and freed, without it 0. A thread that
# pyarrow begins as it is imported has made a second heap by then, which further threads are given; of such a heap malloc_trim
# gives back pages between blocks and not those above the last one. MALLOC_ARENA_MAX=1, or mallopt before the import: 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1
cat > "$folder/heap.py" <<'END'
import ctypes
import platform
import sys
import threading

M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8  # malloc.h
libc = ctypes.CDLL(None)
order = sys.argv[1]
if order == "before":
    libc.mallopt(M_ARENA_MAX, 1)
if order != "without":
    import pyarrow as pa
libc.mallopt(M_ARENA_MAX, 1)
libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)  # freed memory is kept until malloc_trim


def resident():
    with open("/proc/self/status") as status:
        return int(status.read().split("RssAnon:")[1].split()[0]) >> 10


def work():
    [bytes(4000) for _ in range(10_000)]  # 39 MiB, freed as it ends


before = resident()
for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
libc.malloc_trim(0)
left = resident() - before
print(*platform.libc_ver(), "one heap asked for", order, "the import:", left, "MiB are left")
raise SystemExit((left > 30) != (order == "after"))
END
for order in after without before; do
  "$folder/env/bin/python" "$folder/heap.py" "$order"
done
