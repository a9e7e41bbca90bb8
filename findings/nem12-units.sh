#!/usr/bin/env bash
# nemreader 0.9.2: the data frame of a meter file has no units, and readings keep the number that the file has.
# NEM12, the Australian market's format, states a unit for each channel: here one register in kWh and one in Wh, 1 kWh each half-hour.
# Expected: a column of units as in the reader's other outputs, or one unit throughout.
# Seen on 2026-11-29, Python 3.11, pandas 3.1.1: values 1.0 and 1000.0; columns nmi, suffix, serno, t_start, t_end, value, quality, ...
# A sum over a customer's meters is wrong by a thousand for some, and nothing in the frame says for which.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check nemreader==0.9.2 pandas==3.1.1
"$folder/env/bin/python" -W ignore - "$folder/meter.csv" <<'END'
import sys
from pathlib import Path

from nemreader import NEMFile

path = sys.argv[1]
lines = ["100,NEM12,202402010000,MDP,RETAILER"]
for register, unit, value in (("E1", "kWh", "1"), ("E2", "Wh", "1000")):
    lines.append(f"200,NEM1234567,E1E2,{register},{register},,METER1,{unit},30,")
    lines.append(f"300,20240131,{','.join([value] * 48)},A,,,20240201000000,")
Path(path).write_text("\n".join([*lines, "900", ""]))
frame = NEMFile(path).get_data_frame()
print(frame.groupby("suffix")["value"].first().to_dict(), list(frame.columns))
values = frame.groupby("suffix")["value"].unique().map(list).to_dict()
raise SystemExit(not (values == {"E1": [1.0], "E2": [1000.0]} and "uom" not in frame.columns and len(frame) == 96))
END
