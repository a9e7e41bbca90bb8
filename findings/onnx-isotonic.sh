#!/usr/bin/env bash
# skl2onnx 1.20.0 with scikit-learn 1.9.1: probabilities calibrated by isotonic regression take steps once they are ONNX: each is that of the
# nearest threshold, where scikit-learn goes in a straight line from one to the next.
# A model of one column for 4,000 enterprises, 20,000 others scored. Expected: the probabilities of scikit-learn, or an error.
# Seen on 2026-12-01, Python 3.11, ONNX Runtime 1.32.0:
#   probability of being overdue  scikit-learn: 0.731  ONNX: 0.663   different values: 580 and 52
# Of two enterprises with one probability in ONNX, one is on either side of a cut-off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check skl2onnx==1.20.0 scikit-learn==1.9.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
env/bin/python - <<'END'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
turnover = rng.normal(size=(4000, 1)).astype(np.float32)
overdue = rng.random(4000) < 1 / (1 + np.exp(3 - 1.5 * turnover[:, 0]))
model = CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=3).fit(turnover, overdue)
exported = to_onnx(model, turnover[:1], options={id(model): {"zipmap": False}}).SerializeToString()
session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
others = rng.normal(size=(20000, 1)).astype(np.float32)
known, found = model.predict_proba(others)[:, 1], session.run(None, {"X": others})[1][:, 1]
at = abs(known - found).argmax()
counts = len(np.unique(known)), len(np.unique(found))
print(f"probability of being overdue  scikit-learn: {known[at]:.3f}  ONNX: {found[at]:.3f}   different values: {counts[0]} and {counts[1]}")
raise SystemExit(not (abs(known[at] - found[at]) > 0.03 and counts[0] > 10 * counts[1]))
END
