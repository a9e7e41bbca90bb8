#!/usr/bin/env bash
# m2cgen 0.10.0 and treelite 4.8.1 with XGBoost 3.2.0: a classifier that early stopping ended scores by its best trees, its export by all that
# were tried; neither says so. m2cgen looks for a name that XGBoost has dropped, treelite is given the booster, which knows its best round.
# 1,000 enterprises, 2,000 others to stop by. Expected: the probabilities of the classifier, as onnxmltools 1.16.0 has them.
# Seen on 2026-12-01, Python 3.11, best of 33 rounds: 13; probability of being overdue where the difference is largest:
#   XGBoost: 0.35  ONNX: 0.35  m2cgen: 0.86  treelite: 0.86
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check m2cgen==0.10.0 treelite==4.8.1 xgboost-cpu==3.2.0 onnxmltools==1.16.0 scikit-learn==1.9.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'END'
import m2cgen
import numpy as np
import onnxruntime
import treelite
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier

rng = np.random.default_rng(0)
x = rng.normal(size=(3000, 6)).astype(np.float32)
overdue = (rng.random(3000) < 1 / (1 + np.exp(3 - x[:, 0]))).astype(int)
model = XGBClassifier(n_estimators=300, max_depth=5, learning_rate=0.3, early_stopping_rounds=20, base_score=0.5, n_jobs=1)
model.fit(x[:1000], overdue[:1000], eval_set=[(x[1000:], overdue[1000:])], verbose=False)
known = model.predict_proba(x[:1000])[:, 1]
exported = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, 6]))]).SerializeToString()
session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
onnx = np.asarray(session.run(None, {"x": x[:1000]})[1])[:, 1]
exec(m2cgen.export_to_python(model), code := {})
lines = np.array([code["score"](row)[1] for row in x[:1000].astype(float).tolist()])
trees = np.ravel(treelite.gtil.predict(treelite.frontend.from_xgboost(model.get_booster()), x[:1000]))
at, rounds = abs(known - lines).argmax(), model.get_booster().num_boosted_rounds()
print(f"best of {rounds} rounds: {model.best_iteration + 1}")
print(f"XGBoost: {known[at]:.2f}  ONNX: {onnx[at]:.2f}  m2cgen: {lines[at]:.2f}  treelite: {trees[at]:.2f}")
raise SystemExit(not (abs(known - onnx).max() < 1e-5 and abs(lines[at] - trees[at]) < 1e-5 and abs(known[at] - lines[at]) > 0.2))
END
