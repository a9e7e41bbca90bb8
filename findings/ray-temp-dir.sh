#!/usr/bin/env bash
# Ray 2.60.0. A folder of mode 0700 is given for Ray's sockets, logs and spilled objects (`_temp_dir`, as --temp-dir of `ray start`),
# under umask 077. Expected: it stays its owner's. Seen 2026-11-29: Ray makes the folder, and the session's in it, mode 0777.
#
#   before: 0700
#   after: 0777, session: 0777
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ray==2.60.0
umask 077
mkdir "$folder/r"
HOME=$folder RAY_USAGE_STATS_ENABLED=0 "$folder/venv/bin/python" - "$folder/r" <<'EOF'
import logging, sys
from pathlib import Path

import ray

folder = Path(sys.argv[1])
print(f"before: {folder.stat().st_mode & 0o777:04o}")
ray.init(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False, _temp_dir=str(folder), logging_level=logging.CRITICAL)
session = next(folder.glob("session_2*"))
modes = [f"{one.stat().st_mode & 0o777:04o}" for one in (folder, session)]
ray.shutdown()
print(f"after: {modes[0]}, session: {modes[1]}")
sys.exit(modes != ["0777", "0777"])
EOF
