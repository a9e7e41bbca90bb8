#!/usr/bin/env bash
# lifelines 0.30.3: datetimes_to_durations counts months of 30.44 days and drops what is left over: from the first of a month to the
# first of the next is one month or none, from a day of one year to the same day of the next are 11, and 0 years.
# Loans paid out and first overdue on the first of months, as ledgers by month have them. Expected: 1, 1, 1 months; 12, and 1 year.
# Seen on 2026-11-30, Python 3.11, pandas 2.3.3:
#   January to February 1, February to March 0, April to May 0, a year 11 months, 0 years
# Of loans overdue after one month those of five months in twelve are overdue after none, where a survival curve begins.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check lifelines==0.30.3 pandas==2.3.3
"$folder/env/bin/python" -W ignore - <<'END'
from lifelines.utils import datetimes_to_durations

began, overdue = ["2023-01-01", "2023-02-01", "2023-04-01", "2023-01-01"], ["2023-02-01", "2023-03-01", "2023-05-01", "2024-01-01"]
months, years = (datetimes_to_durations(began, overdue, freq=unit)[0].astype(int).tolist() for unit in "MY")
one, two, three, twelve = months
print(f"January to February {one}, February to March {two}, April to May {three}, a year {twelve} months, {years[-1]} years")
raise SystemExit(not (months == [1, 0, 0, 11] and years[-1] == 0))
END
