#!/usr/bin/env bash
# numpy 2.4.6 on CPython 3.11: sound .npz files that several threads read at once now and then end in a SystemError.
# Four threads read the same eight small arrays from memory, each 600 times. Expected: the arrays, every time.
# Seen on 2026-11-29, Python 3.11.7: 11 to 111 of 2,400 reads end in
#   SystemError: AST constructor recursion depth mismatch (before=27, after=23)
# numpy parses an array's header by ast.literal_eval, and CPython 3.11 keeps the depth of that parse once for all threads: where
# garbage with a finaliser is collected in the middle of it, another thread goes on and finds a depth that is not its own.
# Short switches and frequent collection only make it come soon; a test of ours met it without either.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/env/bin/python" - <<'END'
import collections
import gc
import io
import sys
import threading
import time

import numpy as np

stream = io.BytesIO()
np.savez(stream, **{f"a{k}": np.zeros((3, 2)) for k in range(8)})
data, seen, over = stream.getvalue(), collections.Counter(), False


class Knot:
    def __init__(self):
        self.itself = self

    def __del__(self):
        for _ in range(200):
            pass


def litter():
    while not over:
        [Knot() for _ in range(5)]
        time.sleep(0.0002)


def read():
    for _ in range(600):
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                dict(arrays)
            seen["read"] += 1
        except SystemError as error:
            seen[str(error).split(" (")[0]] += 1


sys.setswitchinterval(1e-5)
gc.set_threshold(20, 5, 5)
threads = [threading.Thread(target=read) for _ in range(4)]
threading.Thread(target=litter, daemon=True).start()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
over = True
print(sys.version.split()[0], dict(seen))
raise SystemExit(not seen["AST constructor recursion depth mismatch"])
END
