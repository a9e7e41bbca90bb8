#!/usr/bin/env bash
# onnxmltools 1.16.0 and m2cgen 0.10.0 with LightGBM 4.7.0: of a random forest the converter adds trees that are to be averaged, of linear
# trees it and the generated code take the leaves' constants and leave out the lines in them. Neither warns.
# 4,000 enterprises, one column. Expected: the probabilities of LightGBM, or an error, as of other kinds that are not known.
# Seen on 2026-12-01, Python 3.11, ONNX Runtime 1.32.0, probability of being overdue where the difference is largest:
#   random forest  LightGBM: 0.92  ONNX: 0.01  code: 0.92
#   linear trees   LightGBM: 0.63  ONNX: 0.55  code: 0.55
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check onnxmltools==1.16.0 m2cgen==0.10.0 lightgbm==4.7.0 scikit-learn==1.9.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'END'
import m2cgen
import numpy as np
import onnxruntime
from lightgbm import LGBMClassifier
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(4)
rng = np.random.default_rng(0)
turnover = rng.normal(size=(4000, 1)).astype(np.float32)
overdue = (rng.random(4000) < 1 / (1 + np.exp(1.5 - 1.5 * turnover[:, 0]))).astype(int)
kinds = {
    "random forest": {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "num_leaves": 7},
    "linear trees": {"linear_tree": True, "num_leaves": 3, "learning_rate": 0.5},
}
off = {}
for name, kind in kinds.items():
    model = LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1, **kind).fit(turnover.astype(float), overdue)
    exported = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, 1]))], zipmap=False).SerializeToString()
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    exec(m2cgen.export_to_python(model), code := {})
    rows = turnover[:500]
    known = model.predict_proba(rows.astype(float))[:, 1]
    onnx = session.run(None, {"x": rows})[1][:, 1]
    lines = np.array([code["score"](row)[1] for row in rows.astype(float).tolist()])
    at = abs(known - onnx).argmax()
    print(f"{name:13}  LightGBM: {known[at]:.2f}  ONNX: {onnx[at]:.2f}  code: {lines[at]:.2f}")
    off[name] = abs(known - onnx).max(), abs(known - lines).max()
(a, b), (c, d) = off.values()
raise SystemExit(not (a > 0.2 and b < 1e-6 and c > 0.05 and d > 0.05))
END
