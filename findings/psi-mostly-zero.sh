#!/usr/bin/env bash
# feature-engine 1.9.4: the population stability index of a column that is nine tenths zeros is 0, whatever becomes of it: its deciles
# are all 0, so that one bin is left, from minus infinity to infinity, which holds all rows before and after.
# Days overdue of 5,000 enterprises a month, above 0 for 8 in a hundred, then for 60. Expected: far above 0.25, and the column dropped.
# Seen on 2026-11-30, Python 3.11, pandas 3.1.1, from 8 to 60 in a hundred:
#   deciles (the default): 0.0, dropped: []
#   twenty bins: 0.775, dropped: ['days_overdue']
# Arrears, returned payments and court cases are such columns: what tells most of a borrower is what is never found to drift.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check feature-engine==1.9.4 pandas==3.1.1 scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
import pandas as pd
from feature_engine.selection import DropHighPSIFeatures

rng = np.random.default_rng(0)
days = [np.where(rng.random(5000) < share, rng.integers(1, 90, 5000), 0) for share in (0.08, 0.6)]
rows = pd.DataFrame({"days_overdue": np.concatenate(days), "month": np.repeat([1, 2], 5000)})
seen = []
for name, options in (("deciles (the default)", {}), ("twenty bins", {"bins": 20})):
    found = DropHighPSIFeatures(split_col="month", variables=["days_overdue"], **options).fit(rows)
    seen.append((float(found.psi_values_["days_overdue"]), found.features_to_drop_))
    print(f"{name}: {round(seen[-1][0], 3)}, dropped: {seen[-1][1]}")
raise SystemExit(not (seen[0] == (0.0, []) and seen[1][0] > 0.5 and seen[1][1] == ["days_overdue"]))
END
