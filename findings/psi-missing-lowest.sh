#!/usr/bin/env bash
# optbinning 1.0.0: where it monitors a scorecard, missing values count as the lowest ones, though the scorecard has a bin and points of
# their own for them: the index of a column of which all values of the lowest bin went missing is 0, and its table has no row for
# missing values. Days overdue, 0 for 40 in a hundred, whose zeros a source leaves empty one month. Expected: far above 0.25.
# Seen on 2026-11-30, Python 3.11:
#   points for the lowest bin 294, for missing values 260 (of 800 rows in training)
#   rows of the lowest bin: in training 2580, this month 2580; stability index of days 0.0, of the scores 0.968
# Rows are told apart by the number of their bin, and where none is given a missing value has the number 0, that of the first bin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check optbinning==1.0.0
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
import pandas as pd
from optbinning import BinningProcess, Scorecard
from optbinning.scorecard import ScorecardMonitoring
from sklearn.linear_model import LogisticRegression

row = np.arange(4000)
days = np.select([row % 10 < 4, row % 10 < 6], [0.0, np.nan], row % 90 + 1.0)
columns = pd.DataFrame({"days": days, "kwh": row % 97})
overdue = (row % 13 < np.nan_to_num(days, nan=30) / 15 + 1).astype(int)
card = Scorecard(
    binning_process=BinningProcess(["days", "kwh"]),
    estimator=LogisticRegression(),
    scaling_method="pdo_odds",
    scaling_method_params={"pdo": 20, "odds": 50, "scorecard_points": 600},
)
card.fit(columns, overdue, metric_missing="empirical")
table = card.table(style="detailed").query("Variable == 'days'")
points = [round(table.iloc[0].Points), round(table[table.Bin == "Missing"].iloc[0].Points)]
print("points of the lowest bin and of missing values:", points)

month = columns.assign(days=columns.days.where(columns.days != 0))
watch = ScorecardMonitoring(scorecard=card)
watch.fit(month, overdue, columns, overdue)
told = watch.psi_variable_table(style="detailed").query("Variable == 'days'")
lowest = told.iloc[0]
index, scores = float(told.PSI.sum()), float(watch.psi_table().PSI.iloc[-1])
print("lowest bin:", lowest["Count E"], lowest["Count A"], "bins:", *told.Bin, "index:", round(index, 3), "of scores:", round(scores, 3))
same = index == 0 and lowest["Count A"] == lowest["Count E"] == 2580 and "Missing" not in set(told.Bin)
raise SystemExit(not (same and points[0] != points[1] and scores > 0.25))
END
