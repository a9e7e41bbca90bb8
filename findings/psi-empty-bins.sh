#!/usr/bin/env bash
# frouros 0.9.0: the population stability index of a month that has not changed at all is above 1 as often as not: of ten bins of
# equal width one that a sample lacks counts as a share of 2e-308 there, so that a single row of 2,000 in the other adds 0.35.
# Lognormal amounts, drawn twenty times as reference and as month. Expected: near 0.01, what chance makes of ten bins.
# Seen on 2026-11-30, Python 3.11:
#   of 20 unchanged months of 2,000 rows above 0.25: 18, median 1.23, largest 3.16
#   the same in deciles, with half a row added to each: 0, largest 0.016
# With the usual limit of 0.25 every month is an alarm; the larger the month, the rarer its largest amounts, the same alarm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check frouros==0.9.0 numpy==1.26.4
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
from frouros.detectors.data_drift import PSI

rng = np.random.default_rng(0)
found, deciles = [], []
for _ in range(20):
    was, now = rng.lognormal(9, 1, 2000), rng.lognormal(9, 1, 2000)
    detector = PSI()
    detector.fit(X=was)
    found.append(detector.compare(X=now)[0].distance)
    counts = [np.bincount(np.searchsorted(np.quantile(was, np.arange(1, 10) / 10), x, "right"), minlength=10) for x in (was, now)]
    p, q = ((count + 0.5) / (count + 0.5).sum() for count in counts)
    deciles.append(float(((q - p) * np.log(q / p)).sum()))
above, usual = sum(x > 0.25 for x in found), sum(x > 0.25 for x in deciles)
print(f"of 20 unchanged months of 2,000 rows above 0.25: {above}, median {np.median(found):.2f}, largest {max(found):.2f}")
print(f"the same in deciles, with half a row added to each: {usual}, largest {max(deciles):.3f}")
raise SystemExit(not (above >= 15 and np.median(found) > 0.5 and usual == 0))
END
