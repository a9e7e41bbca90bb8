#!/usr/bin/env bash
# toad 0.1.7: variance inflation factors are of regressions without an intercept, so two columns that do not correlate at all have 50.75.
# Of 400 rows kwh is 90 or 110 and age 45 or 55, each pair in 100 rows: correlation 0. Expected: 1.00 for both.
# Seen on 2026-11-30, Python 3.11, pandas 2.2.3:
#   as they are        kwh 50.75, age 50.75
#   less their means   kwh 1.00, age 1.00
#   with a column of 1 kwh 101.00, age 101.00
# Sums of squares are not about the mean either, so that a column of ones makes it worse. Where columns above 10 are left out, amounts go
# because they are far from 0, whatever they say; weights of evidence, whose means are near 0, show nothing of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check toad==0.1.7 pandas==2.2.3 scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
import pandas as pd
import toad

kwh, age = 100 + np.tile([-10.0, 10.0], 200), 50 + np.repeat([-5.0, 5.0], 200)
frame = pd.DataFrame({"kwh": kwh, "age": age})
given, centred, ones = (toad.stats.VIF(columns) for columns in (frame, frame - frame.mean(), frame.assign(one=1.0)))
for name, found in (("as they are", given), ("less their means", centred), ("with a column of 1", ones)):
    print(f"{name}: kwh {found['kwh']:.2f}, age {found['age']:.2f}")
flat = abs(np.corrcoef(kwh, age)[0, 1]) < 1e-12
same = np.allclose(given, 50.75, atol=0.01) and np.allclose(centred, 1) and np.allclose(ones[["kwh", "age"]], 101)
raise SystemExit(not (flat and same))
END
