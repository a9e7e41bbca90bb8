#!/usr/bin/env bash
# skl2onnx 1.20.0 with scikit-learn 1.9.1: an imputer with add_indicator=True has no indicators once it is ONNX; the model behind it has more
# coefficients than inputs, and neither the conversion nor ONNX Runtime 1.32.0 says so.
# 4,000 enterprises, of which those whose turnover is not known are mostly overdue. Expected: the probabilities of scikit-learn, or an error.
# Seen on 2026-12-01, Python 3.11, probability of being overdue:
#   turnover known    scikit-learn: 0.056  ONNX: 0.058
#   turnover missing  scikit-learn: 0.596  ONNX: 0.058
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

rng = np.random.default_rng(0)
turnover = rng.normal(size=(4000, 1)).astype(np.float32)
missing = rng.random(4000) < 0.1
turnover[missing] = np.nan
overdue = rng.random(4000) < np.where(missing, 0.6, 0.05)
model = make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()).fit(turnover, overdue)
exported = to_onnx(model, turnover[:1], options={"zipmap": False}).SerializeToString()
session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
rows = np.array([[np.nanmean(turnover)], [np.nan]], np.float32)
known, found = model.predict_proba(rows)[:, 1], session.run(None, {"X": rows})[1][:, 1]
for name, a, b in zip(("known  ", "missing"), known, found):
    print(f"turnover {name}  scikit-learn: {a:.3f}  ONNX: {b:.3f}")
raise SystemExit(not (known[1] > 0.5 and found[1] == found[0] and abs(known[0] - found[0]) < 0.005))
END
