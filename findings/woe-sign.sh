#!/usr/bin/env bash
# optbinning 1.0.0 and scorecardpy 0.1.9.7: the weight of evidence of one bin has opposite signs in the two.
# Of 1,000 rows 180 are overdue (1). 120 of these and 280 of the others have x = 1, so this bin is the worse one.
# Expected: one convention. Weights of evidence written by one package cannot be used with coefficients fitted on the other's.
# Seen on 2026-11-28, Python 3.11, pandas 2.2.3 (with pandas 3.1 scorecardpy ends with a ValueError):
#   optbinning: -0.66905 = ln(share of the others / share of the overdue)
#   scorecardpy: 0.66905 = ln(share of the overdue / share of the others)
# The information value, 0.439001, is the same in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check optbinning==1.0.0 scorecardpy==0.1.9.7 pandas==2.2.3
"$folder/env/bin/python" -W ignore - <<'END'
import math

import numpy as np
import pandas as pd
import scorecardpy
from optbinning import OptimalBinning

x = np.repeat([0.0, 1.0], [600, 400])
y = np.repeat([1, 0, 1, 0], [60, 540, 120, 280])

binning = OptimalBinning(dtype="numerical")
binning.fit(x, y)
one = binning.binning_table.build()
frame = pd.DataFrame({"x": x, "y": y})
other = scorecardpy.woebin(frame, y="y", breaks_list={"x": [1]}, print_info=False)["x"]

worse = float(one.loc[1, "WoE"]), float(other.loc[1, "woe"])
values = float(one.loc["Totals", "IV"]), float(other["total_iv"].iloc[0])
print(f"optbinning: {worse[0]:.5f}, IV {values[0]:.6f}\nscorecardpy: {worse[1]:.5f}, IV {values[1]:.6f}")
expected = math.log((120 / 180) / (280 / 820))
same = np.allclose(worse, (-expected, expected)) and np.allclose(values, 0.439001, atol=1e-6)
raise SystemExit(not same)
END
