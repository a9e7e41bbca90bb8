#!/usr/bin/env bash
# scorecardpy 0.1.9.7 with pandas 3.1.1: a numeric column cannot be binned.
# Expected: weights of evidence of a column of 2,000 numbers, as with pandas 2.2.3; the package asks for any pandas of 1.0.0 or later.
# Seen on 2026-11-28, Python 3.11:
#   pandas 2.2.3: bins made
#   pandas 3.1.1: ValueError, invalid error value specified
# It calls to_numeric(errors="ignore"), which pandas 3 no longer takes; the message names neither the column nor the argument.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/bins.py" <<'END'
import numpy as np
import pandas as pd
import scorecardpy

x = np.linspace(-2, 2, 2000)
frame = pd.DataFrame({"x": x, "overdue": (np.arange(2000) % 10 < 2 + 2 * (x > 0)).astype(int)})
try:
    said = "bins made" if len(scorecardpy.woebin(frame, y="overdue", print_info=False)["x"]) > 1 else "one bin"
except ValueError as error:
    said = f"ValueError, {error}"
print(f"pandas {pd.__version__}: {said}")
END
for version in 2.2.3 3.1.1; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check scorecardpy==0.1.9.7 "pandas==$version" setuptools
  "$folder/$version/bin/python" -W ignore "$folder/bins.py" | tail -n 1 | tee -a "$folder/said"
done
test "$(cat "$folder/said")" = "pandas 2.2.3: bins made
pandas 3.1.1: ValueError, invalid error value specified"
