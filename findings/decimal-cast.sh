#!/usr/bin/env bash
# pyarrow 26.0.1: a cast of DECIMAL(12, 2) to float64 is not always the float nearest to the printed number.
# Expected: 0.35 as a decimal becomes 0.35 as a float, which is what a CSV reader makes of the text "0.35".
# Seen on 2026-11-28, Python 3.11, x86-64:
#   scale 2: 13929 of the 100000 amounts 0.00 to 999.99 differ, all by one unit in the last place, all upwards; first 0.35
#   scale 6: 29035 of the 100000 amounts 0.000000 to 0.099999 differ; first 0.000005
# So a column read from CSV and the same column read from a Parquet DECIMAL are equal in print and unequal as floats.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1
"$folder/env/bin/python" - <<'END'
import math
from decimal import Decimal

import pyarrow as pa


def differing(scale: int) -> list[tuple[Decimal, float]]:
    amounts = [Decimal(unit).scaleb(-scale) for unit in range(100_000)]
    floats = pa.array(amounts, pa.decimal128(12, scale)).cast(pa.float64()).to_pylist()
    return [(amount, got) for amount, got in zip(amounts, floats) if got != float(str(amount))]


two, six = differing(2), differing(6)
ulps = {(got - float(amount)) / math.ulp(float(amount)) for amount, got in two}
print(f"scale 2: {len(two)} differ, by {ulps} units in the last place; first {two[0][0]} is {two[0][1]!r}")
print(f"scale 6: {len(six)} differ; first {six[0][0]:f} is {six[0][1]!r}")
raise SystemExit((len(two), len(six), ulps) != (13_929, 29_035, {1.0}))
END
