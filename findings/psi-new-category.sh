#!/usr/bin/env bash
# toad 0.1.7: the population stability index counts only categories that both samples have, so one that is new or gone adds nothing.
# Half of the first sample are B; in the second all of these have become C. Expected: a large index or infinity, as of any empty bin.
# Seen on 2026-11-29, Python 3.11, pandas 3.1.1:
#   B becomes C: 0.0
#   with one row of B and of C in the other sample each: 6.20
# A monitor reads 0.0 as "stable" on the day on which a supplier of data renames a category.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check toad==0.1.7 pandas==3.1.1 scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'END'
import pandas as pd
from toad.metrics import PSI

then = pd.Series(["A"] * 500 + ["B"] * 500)
now = pd.Series(["A"] * 500 + ["C"] * 500)
renamed = float(PSI(now, then))
then_too, now_too = pd.Series([*then, "C"]), pd.Series([*now, "B"])
one_row_more = float(PSI(now_too, then_too))
print(f"B becomes C: {renamed}\nwith one row of B and of C in the other sample each: {one_row_more:.2f}")
raise SystemExit(not (renamed == 0.0 and one_row_more > 6))
END
