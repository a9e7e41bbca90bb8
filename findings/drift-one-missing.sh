#!/usr/bin/env bash
# river 0.26.1: a detector of drift that has been given one missing value finds no drift any more, whatever comes after it: ADWIN
# and PageHinkley take NaN into their sums and say nothing. KSWIN of the same package, which compares windows, gets over it.
# Consumption of 2,000 readings, a thousandfold from the 1,000th on. Expected: drift told soon after it, or an error at the NaN.
# Seen on 2026-11-30, Python 3.11:
#   all readings there: ADWIN 1023, KSWIN 1013, PageHinkley 1001
#   reading 500 missing: ADWIN never, KSWIN 1013, PageHinkley never
# Meters lose readings every day; the columns that lose the most are then those whose drift is never told.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check river==0.26.1
"$folder/env/bin/python" -W ignore - <<'END'
import numpy as np
from river import drift

rng = np.random.default_rng(0)
readings = rng.random(2000)
readings[1000:] *= 1000
gap = readings.copy()
gap[500] = np.nan


def first(detector, values):
    for place, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            return place
    return None


seen = []
for name, values in (("all readings there", readings), ("reading 500 missing", gap)):
    kinds = {"ADWIN": drift.ADWIN(), "KSWIN": drift.KSWIN(seed=1), "PageHinkley": drift.PageHinkley()}
    told = {kind: first(detector, values) for kind, detector in kinds.items()}
    seen.append(told)
    print(f"{name}: " + ", ".join(f"{kind} {'never' if place is None else place}" for kind, place in told.items()))
raise SystemExit(not (1000 <= seen[0]["ADWIN"] < 1100 and seen[1]["ADWIN"] is None and seen[1]["PageHinkley"] is None))
END
