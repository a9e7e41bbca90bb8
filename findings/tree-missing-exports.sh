#!/usr/bin/env bash
# skl2onnx 1.20.0, m2cgen 0.10.0 with scikit-learn 1.9.1: a tree or forest that was fitted on missing values scores them otherwise once it
# is ONNX or code. At each split scikit-learn learns to which side a missing value goes; neither exports that, and in both it goes to
# the right of every split. Enterprises overdue where turnover is lowest or not known. Expected: the same three probabilities.
# Seen on 2026-11-30, Python 3.11: probability of overdue for a turnover of 1, of 4, not known
#   scikit-learn 1.9.1        1 0 1
#   onnxruntime 1.32.0        1 0 0
#   m2cgen's Python           1 0 0
#   treelite 4.8.1            1 0 1
# Rows without missing values agree to the last digit, so that a comparison on these passes. No option and no warning tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check scikit-learn==1.9.1 skl2onnx==1.20.0 onnxruntime==1.32.0 m2cgen==0.10.0 \
    treelite==4.8.1
"$folder/env/bin/python" -W ignore - <<'END'
import m2cgen
import numpy as np
import onnxruntime
import treelite
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

turnover = np.repeat(np.array([1, 2, 3, 4, np.nan], np.float32), 200).reshape(-1, 1)
overdue = np.repeat([1, 0, 0, 0, 1], 200)
forest = RandomForestClassifier(10, random_state=0).fit(turnover, overdue)
rows = np.array([[1], [4], [np.nan]], np.float32)

onnx = onnxruntime.InferenceSession(to_onnx(forest, rows[:1], options={"zipmap": False}).SerializeToString())
code = {}
exec(m2cgen.export_to_python(forest), code)
found = {
    "scikit-learn": forest.predict_proba(rows)[:, 1],
    "onnxruntime": onnx.run(None, {"X": rows})[1][:, 1],
    "m2cgen": np.array([code["score"]([float(x)])[1] for (x,) in rows]),
    "treelite": treelite.gtil.predict(treelite.sklearn.import_model(forest), rows)[:, 0, 1],
}
for name, probabilities in found.items():
    print(f"{name:14}", *np.round(probabilities, 6))
seen = {name: np.round(probabilities).tolist() for name, probabilities in found.items()}
raise SystemExit(seen != {"scikit-learn": [1, 0, 1], "onnxruntime": [1, 0, 0], "m2cgen": [1, 0, 0], "treelite": [1, 0, 1]})
END
