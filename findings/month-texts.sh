#!/usr/bin/env bash
# pandas 3.1.1 with python-dateutil 4.0.0: to_datetime reads months as workbooks and billing systems write them as days of other years.
# Expected: "Jan-24" as January 2024, "01.2024" too, "201206" as June 2012, as a period of pandas reads the last one; or a refusal.
# Seen on 2026-11-30, Python 3.11; what warns says only that no format could be inferred:
#   Jan-24, Feb-24 -> 0001-01-24, 0001-02-24
#   01.2024        -> 0001-01-01, without a warning
#   201206, 201209 -> 2006-12-20, 2009-12-20; 202406 is refused
# 201206 is taken for day 20, month 12, year 06. Dates of year 1 sort and join as any others do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pandas==3.1.1 python-dateutil==4.0.0
"$folder/env/bin/python" -W ignore - <<'END_OF_PYTHON'
import pandas as pd


def read(*texts):
    try:
        return [day.isoformat() for day in pd.to_datetime(pd.Series(texts)).dt.date]
    except ValueError as error:
        return [type(error).__name__]


found = [read("Jan-24", "Feb-24"), read("01.2024"), read("201206", "201209"), read("202406")]
print(*found, f"the period of 201206: {pd.Period('201206', 'M')}", sep="\n")
expected = [["0001-01-24", "0001-02-24"], ["0001-01-01"], ["2006-12-20", "2009-12-20"], ["DateParseError"]]
raise SystemExit(not (found == expected and str(pd.Period("201206", "M")) == "2012-06"))
END_OF_PYTHON
