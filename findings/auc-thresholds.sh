#!/usr/bin/env bash
# river 0.26.1: ROCAUC of a model of rare overdue is 0.77 where it is 0.93, and of the same model's log-odds -0.0, below the 0.5 of
# no model at all: it counts at ten thresholds from 0 to 1, and where 3 % are overdue most probabilities are below the second.
# Probabilities and log-odds of 5,000 rows by one model; RollingROCAUC of the same package has no thresholds.
# Expected: one AUC, as the order of the rows is one, or an error for scores beyond 0 to 1.
# Seen on 2026-11-30, Python 3.11, scikit-learn 1.7.2:
#   overdue 3.1%: scikit-learn 0.928, RollingROCAUC 0.928
#   ROCAUC of probabilities 0.774, of log-odds -0.0, of probabilities by 1,000 thresholds 0.928
# Whoever watches a champion month by month sees it lose 0.15 as the overdue rate falls, and retrains what has not changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check river==0.26.1 scikit-learn==1.7.2
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
from river import metrics
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(0)
overdue = rng.random(5000) < 0.03
odds = rng.normal(0, 1, 5000) + 2 * overdue - 4
probability = 1 / (1 + np.exp(-odds))


def of(metric, scores):
    for y, score in zip(overdue.tolist(), scores.tolist(), strict=True):
        metric.update(y, score)
    return metric.get()


true, rolling = roc_auc_score(overdue, probability), of(metrics.RollingROCAUC(window_size=5000), probability)
coarse, far = of(metrics.ROCAUC(), probability), of(metrics.ROCAUC(), odds)
fine = of(metrics.ROCAUC(n_thresholds=1000), probability)
print(f"overdue {overdue.mean():.1%}: scikit-learn {true:.3f}, RollingROCAUC {rolling:.3f}")
print(f"ROCAUC of probabilities {coarse:.3f}, of log-odds {round(far, 3)}, of probabilities by 1,000 thresholds {fine:.3f}")
raise SystemExit(not (abs(true - rolling) < 1e-6 and abs(true - fine) < 0.002 and true - coarse > 0.1 and abs(far) < 0.01))
END
