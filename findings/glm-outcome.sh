#!/usr/bin/env bash
# statsmodels 0.15.0: a binomial GLM by formula whose outcome is true and false, or words, models the first of both: the probability
# of being not overdue. The formula makes two columns of such an outcome, which the family takes for successes and failures.
# 2,000 enterprises, of which those longer in arrears default. Expected: the coefficients of the outcome as 1 and 0, or an error,
# as logit() of the same module gives.
# Seen on 2026-11-30, Python 3.11, warnings being errors; the share that defaulted is 0.21:
#   1 and 0          coefficient +0.56, mean probability 0.21
#   True and False   coefficient -0.56, mean probability 0.79
#   yes and no       coefficient -0.56, mean probability 0.79
#   defaulted, good  coefficient +0.56, mean probability 0.21, as "defaulted" comes first
#   logit, True and False: ValueError
# A validation of a model by such a fit has all its signs turned round.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check statsmodels==0.15.0 patsy==1.0.3 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$folder/env/bin/python" -W error - <<'END'
import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf

rng = np.random.default_rng(0)
late = rng.poisson(1.0, 2000).astype(float)
defaulted = rng.random(2000) < 1 / (1 + np.exp(2.0 - 0.6 * late))
loans = pd.DataFrame({"late": late, "number": defaulted.astype(int), "truth": defaulted})
loans["word"] = np.where(defaulted, "yes", "no")
loans["state"] = np.where(defaulted, "defaulted", "good")
found = {}
for outcome in ("number", "truth", "word", "state"):
    fit = smf.glm(f"{outcome} ~ late", loans, family=sm.families.Binomial()).fit()
    found[outcome] = slope, mean = float(fit.params["late"]), float(fit.predict(loans).mean())
    print(f"{outcome:7} coefficient {slope:+.2f}, mean probability {mean:.2f}   {fit.model.endog_names}")
try:
    smf.logit("truth ~ late", loans).fit(disp=0)
    refused = False
except ValueError as error:
    refused = True
    print("logit: ", str(error)[:60])
print(f"share that defaulted {defaulted.mean():.2f}")
slope, mean = found["number"]
turned = [abs(found[name][0] + slope) < 1e-6 and abs(found[name][1] + mean - 1) < 1e-6 for name in ("truth", "word")]
raise SystemExit(not (slope > 0.3 and all(turned) and refused and abs(found["state"][0] - slope) < 1e-6))
END
