#!/usr/bin/env bash
# shap 0.51.0: contributions of a linear model are counted from the mean of 100 of the given rows, however many there are; it is a default
# of the masker that LinearExplainer makes of them, and no warning says so.
# A turnover of 5,000 enterprises, lognormal as turnovers are. Expected: contributions whose mean over the given rows is 0.
# Seen on 2026-12-01, Python 3.11, warnings being errors, LinearExplainer(model, turnover):
#   mean turnover: 17.7   counted from: 22.5   mean contribution: 0.25   with max_samples=5000: 0.00
# For a turnover between the two means the contribution has the other sign: a reason against an enterprise instead of for it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check shap==0.51.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
env/bin/python -W error - <<'END'
import numpy as np
import shap
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
turnover = rng.lognormal(1, 2, (5000, 1))
overdue = rng.random(5000) < 1 / (1 + np.exp(2 + 0.05 * turnover[:, 0]))
model = LogisticRegression(max_iter=1000).fit(turnover, overdue)
given = shap.LinearExplainer(model, turnover)
whole = shap.LinearExplainer(model, shap.maskers.Independent(turnover, max_samples=5000))
origin = (given.expected_value - model.intercept_[0]) / model.coef_[0, 0]
means = [float(explainer.shap_values(turnover).mean()) for explainer in (given, whole)]
print(f"mean turnover: {turnover.mean():.1f}   counted from: {origin:.1f}   ", end="")
print(f"mean contribution: {means[0]:.2f}   with max_samples=5000: {means[1] + 0:.2f}")
raise SystemExit(not (abs(origin / turnover.mean() - 1) > 0.1 and abs(means[0]) > 0.05 > 0.001 > abs(means[1])))
END
