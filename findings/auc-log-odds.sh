#!/usr/bin/env bash
# toad 0.1.7: the AUC of log-odds turns round as soon as one score is above 1, since scores above 1 are taken for points of a card.
# 1,000 rows, log-odds of being overdue, all below 1; then the same with one of them at 1.2. Expected: nearly the same area.
# Seen on 2026-11-29, Python 3.11, pandas 3.1.1, scikit-learn 1.9.1:
#   all below 1: toad 0.8771, scikit-learn 0.8771
#   one at 1.2:  toad 0.1236, scikit-learn 0.8763
# Between two months, or two samples, of one model a monitor sees it lose all it had; 1 less the area reads as "turned round by mistake".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check toad==0.1.7 pandas==3.1.1 scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
from sklearn.metrics import roc_auc_score
from toad.metrics import AUC

row = np.arange(1000)
overdue = (row % 5 == 0).astype(int)
u = np.where(overdue, 0.5, -0.5) + row % 101 / 101 * 2 - 2.6
raised = np.append(u[:-1], 1.2)
seen = [(float(AUC(x, overdue)), float(roc_auc_score(overdue, x))) for x in (u, raised)]
for what, (one, other) in zip((f"all below 1 ({u.max():.2f})", "one at 1.2"), seen):
    print(f"{what}: toad {one:.4f}, scikit-learn {other:.4f}")
(one, same), (turned, other) = seen
raise SystemExit(not (one == same > 0.87 and other > 0.87 and abs(turned + other - 1) < 1e-9))
END
