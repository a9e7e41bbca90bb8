#!/usr/bin/env bash
# toad 0.1.7: a category that training did not have, or a missing one, has the weight of evidence of the safest category; the points of
# the scorecard made of the same bins are those of the riskiest.
# 1,000 enterprises of three trades, overdue by 10, 20 and 50 in a hundred. Expected: an error, a neutral weight, or the same from both.
# Seen on 2026-11-30, Python 3.11, pandas 3.1.1, for shop, mill, mine, farm (new), none:
#   weights of evidence  -0.932  -0.121  1.266  -0.932  -0.932
#   points                632     562    442     442     442
# A model fitted to the weights approves whom the scorecard refuses.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check toad==0.1.7 pandas==3.1.1 scikit-learn==1.9.1
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
import pandas as pd
import toad
from toad.transform import Combiner, WOETransformer

trades = pd.DataFrame({"trade": ["shop"] * 400 + ["mill"] * 400 + ["mine"] * 200})
overdue = np.repeat([1, 0, 1, 0, 1, 0], [40, 360, 80, 320, 100, 100])
bins = Combiner()
bins.fit(trades.assign(overdue=overdue), y="overdue", method="chi", min_samples=0.05)
weights = WOETransformer().fit(bins.transform(trades), overdue)
card = toad.ScoreCard(combiner=bins, transer=weights, C=100)
card.fit(weights.transform(bins.transform(trades)), overdue)
rows = pd.DataFrame({"trade": ["shop", "mill", "mine", "farm", None]})
woe = weights.transform(bins.transform(rows))["trade"].to_numpy()
points = card.predict(rows)
print("weights of evidence", woe.round(3), "\npoints             ", points.round())
same = [woe[3] == woe[4] == woe[0] == woe.min(), points[3] == points[4] == points[2] == points.min(), points.max() == points[0]]
raise SystemExit(not all(same))
END
