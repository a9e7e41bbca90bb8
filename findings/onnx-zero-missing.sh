#!/usr/bin/env bash
# onnxmltools 1.16.0 with LightGBM 4.7.0: a LightGBM model that takes zeros for missing values (zero_as_missing) takes them for numbers
# once it is converted to ONNX: only NaN goes the way of what is missing. No error and no warning.
# Of 800 rows 400 have 0 in the only column, of which 90 in 100 are overdue, of the others 10 in 100. Expected: the same probability.
# Seen on 2026-11-30, Python 3.11, onnxruntime 1.32.0:
#              0      -50      50     NaN
#   LightGBM 0.8449  0.1538  0.1538  0.8449
#   ONNX     0.1538  0.1538  0.1538  0.8449
# Exports of core banking systems have 0 for turnover that nobody reported: the riskiest applicants become the safest in the service that
# runs the converted model, and a test on complete rows sees nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  lightgbm==4.7.0 onnxmltools==1.16.0 onnx==1.23.2 onnxruntime==1.32.0 skl2onnx==1.20.0 scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'END'
import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
from onnxmltools.convert.common.data_types import FloatTensorType

x = np.r_[np.zeros(400), -np.arange(1.0, 201), np.arange(1.0, 201)][:, None]
y = np.r_[np.tile([1] * 9 + [0], 40), np.tile([1] + [0] * 9, 40)]
model = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=3, n_jobs=1, verbose=-1, zero_as_missing=True).fit(x, y)
rows = np.array([[0.0], [-50.0], [50.0], [np.nan]])

converted = onnxmltools.convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, 1]))], zipmap=False)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = 1, 3
session = onnxruntime.InferenceSession(converted.SerializeToString(), options)
here, there = model.predict_proba(rows)[:, 1], session.run(None, {"x": rows.astype(np.float32)})[1][:, 1]
print("LightGBM", here.round(4), "\nONNX    ", there.round(4))
same = np.allclose(here, [0.8449, 0.1538, 0.1538, 0.8449], atol=1e-3) and np.allclose(there, [0.1538, 0.1538, 0.1538, 0.8449], atol=1e-3)
raise SystemExit(not same)
END
