#!/usr/bin/env bash
# polars 2.1.0: a rolling window of "3mo" over month-end dates holds three months or four.
# One record a month, each dated the last day of its month, each worth 1. Expected: 3 from the third month on.
# Seen on 2026-11-29, Python 3.11:
#   2024-03-31 3, 2024-04-30 4, 2024-05-31 3, 2024-06-30 4, 2024-07-31 3, 2024-08-31 3
# The window begins on the same day of the month: of 30 April it is (30 January, 30 April], and 31 January lies in it. The same
# records dated the first of the month give 3 throughout, so a sum over a quarter depends on how a source writes its months.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check polars==2.1.0
"$folder/env/bin/python" - <<'END'
import datetime

import polars as pl

firsts = [datetime.date(2024, month, 1) for month in range(1, 10)]
ends = [after - datetime.timedelta(days=1) for after in firsts[1:]]


def sums(dates):
    frame = pl.DataFrame({"date": dates, "one": [1] * len(dates)})
    return frame.select(pl.col("one").rolling_sum_by("date", window_size="3mo"))["one"].to_list()[2:]


of_ends, of_firsts = sums(ends), sums(firsts[:-1])
print(", ".join(f"{date} {value}" for date, value in zip(ends[2:], of_ends)))
print("of first days:", of_firsts)
raise SystemExit(not (of_ends == [3, 4, 3, 4, 3, 3] and set(of_firsts) == {3}))
END
