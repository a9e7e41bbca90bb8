#!/usr/bin/env bash
# XGBoost 3.2.0 and LightGBM 4.7.0: a value missing at scoring of a column in which none was missing in training is taken for the
# largest by the one and for the smallest, as 0, by the other. Neither warns.
# 4,000 enterprises, of which those with little turnover are overdue. Expected: an error, a warning, or about the share overdue, 0.26.
# Seen on 2026-11-30, Python 3.11, probability of being overdue:
#   XGBoost   turnover missing: 0.003, the largest: 0.003, 0: 0.858
#   LightGBM  turnover missing: 0.861, the largest: 0.002, 0: 0.861
# The month in which a source of turnover fails, one approves everybody and the other nobody.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/env/bin/python" -W error - <<'END'
import numpy as np
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

rng = np.random.default_rng(0)
turnover = rng.lognormal(10, 1, (4000, 1))
overdue = (rng.random(4000) < 1 / (1 + (turnover[:, 0] / np.exp(9.0)) ** 1.5)).astype(int)
rows = np.array([[np.nan], [turnover.max()], [0.0]])
found = {}
for name, model in (
    ("XGBoost", XGBClassifier(n_estimators=50, max_depth=3, n_jobs=1)),
    ("LightGBM", LGBMClassifier(n_estimators=50, verbose=-1, n_jobs=1)),
):
    missing, largest, zero = found[name] = model.fit(turnover, overdue).predict_proba(rows)[:, 1]
    print(f"{name:9} turnover missing: {missing:.3f}, the largest: {largest:.3f}, 0: {zero:.3f}")
(a, b, c), (d, e, f) = found["XGBoost"], found["LightGBM"]
raise SystemExit(not (overdue.mean() > 0.2 and a == b < 0.02 and c > 0.8 and d == f > 0.8 and e < 0.02))
END
