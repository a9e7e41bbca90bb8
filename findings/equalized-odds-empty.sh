#!/usr/bin/env bash
# fairlearn 0.15.0: a group in which nobody is overdue has a true positive rate of 0, not an unknown one, and so the worst of all.
# Six borrowers in three groups, all of them predicted as they are; in the third none is overdue.
# Expected: a difference of equalised odds of 0 and a ratio of 1, "all groups have the same rates", or NaN; so says the page of the metric.
# Seen on 2026-11-30, Python 3.11:
#   difference 1.0, ratio 0.0, of equal opportunity 1.0; without the third group 0.0, 1.0, 0.0
# A model without any error fails a check of fairness by the largest possible number, once a small group is looked at by itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check fairlearn==0.15.0
"$folder/env/bin/python" -W ignore - <<'END_OF_PYTHON'
from fairlearn.metrics import equal_opportunity_difference, equalized_odds_difference, equalized_odds_ratio

overdue, region = [0, 1, 0, 1, 0, 0], list("aabbcc")


def measured(rows):
    metrics = (equalized_odds_difference, equalized_odds_ratio, equal_opportunity_difference)
    return [float(metric(overdue[:rows], overdue[:rows], sensitive_features=region[:rows])) for metric in metrics]


print("three groups", measured(6), "two groups", measured(4))
raise SystemExit(not (measured(6) == [1.0, 0.0, 1.0] and measured(4) == [0.0, 1.0, 0.0]))
END_OF_PYTHON
