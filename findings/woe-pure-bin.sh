#!/usr/bin/env bash
# optbinning 1.0.0: a bin of missing values whose rows are all overdue has a weight of evidence of 0, which says "as the average".
# 900 rows with a number, 60 of them overdue, and 100 without one, all overdue. Expected: the worst weight by far, or an error; empirical
# weights of missing values are asked for.
# Seen on 2026-11-29, Python 3.11, pandas 2.2.3:
#   optbinning: missing 0.000, its information value 0.000, other bins 0.334 to 1.520; with one of the hundred not overdue: -6.261
#   scorecardpy 0.1.9.7, of opposite sign: 6.370 (it counts 0.99 in place of none)
# A bin of one outcome gets 0 whichever outcome that is. On a scorecard the rows that never paid get the points of an average row, and the
# information value leaves out the column's strongest part. Special codes and categories of one outcome likewise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  optbinning==1.0.0 scorecardpy==0.1.9.7 pandas==2.2.3 "setuptools<81"
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
import pandas as pd
import scorecardpy
from optbinning import OptimalBinning

x = np.append(np.arange(900) % 90, np.full(100, np.nan))
overdue = np.append((np.arange(900) // 90 * 3 + np.arange(900) % 90 // 30 < 4) & (np.arange(900) % 2 == 0), np.ones(100)).astype(int)


def missing_in(y):
    binning = OptimalBinning(dtype="numerical").fit(x, y)
    table = binning.binning_table.build()
    of_missing = float(binning.transform(np.array([np.nan]), metric="woe", metric_missing="empirical")[0])
    return of_missing, float(table.loc[table.Bin == "Missing", "IV"].iloc[0]), table.WoE.iloc[:-3].astype(float)


pure, value, others = missing_in(overdue)
one_good = missing_in(np.append(overdue[:-1], 0))[0]
bins = scorecardpy.woebin(pd.DataFrame({"x": x, "y": overdue}), y="y", print_info=False)["x"]
other = float(bins.loc[bins.bin == "missing", "woe"].iloc[0])
print(f"optbinning: missing {pure:.3f}, its information value {value:.3f}, other bins {others.min():.3f} to {others.max():.3f}")
print(f"optbinning, one of the hundred not overdue: {one_good:.3f}\nscorecardpy: {other:.3f}")
raise SystemExit(not (pure == value == 0.0 and one_good < -4 and other > 4))
END
