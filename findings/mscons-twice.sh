#!/usr/bin/env bash
# msconsconverter 2.0.0: of a meter's readings in MSCONS, the EDIFACT message of European grid companies, the CSV has rows that nobody sent:
# each reading but the first stands three times, once with the interval of the one before; a substitute value (QTY qualifier 67, put in
# by the grid company after a failed read-out) is 0.0. Readings of 10, 20 and 40 kWh in quarters of an hour. Expected: three rows, 70 kWh.
# Seen on 2026-11-30, Python 3.11:
#   all three read:            {'10': 1, '20': 3, '40': 6}   310 kWh
#   the last one substituted:  {'10': 1, '20': 3, '0.0': 6}   70 kWh
#   of 20: 00:00 to 00:15, 00:15 to 00:15, 00:15 to 00:30
# Once the end of an interval (DTM+164) was seen, every further segment saves the last quantity again, the three that end the file too.
# Of the qualifier a line of the log says that it is strange.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check msconsconverter==2.0.0
"$folder/env/bin/python" -W ignore - "$folder" <<'END'
import csv
import logging
import sys
from collections import Counter
from pathlib import Path

from msconsconverter.msconsconverter import MSCONSConverter

FOLDER = Path(sys.argv[1])
HEAD = (
    "UNA:+.? 'UNB+UNOC:3+9900000000001:500+9900000000002:500+240201:0800+1'UNH+1+MSCONS:D:04B:UN:2.4b'BGM+7+1+9'"
    "DTM+137:202402010800?+00:303'NAD+MS+9900000000001::293'NAD+MR+9900000000002::293'UNS+D'NAD+DP'"
    "LOC+172+DE0001112223330000000000000000001'LIN+1'PIA+5+1-1?:1.29.0:SRW'"
)
TIMES = ("0000", "0015", "0030", "0045")


def rows(readings: list[tuple[int, int]], name: str) -> list[dict[str, str]]:
    """Of (qualifier, kWh), as the converter writes them."""
    text = HEAD
    for (qualifier, kwh), start, end in zip(readings, TIMES, TIMES[1:]):
        text += f"QTY+{qualifier}:{kwh}'DTM+163:20240101{start}?+00:303'DTM+164:20240101{end}?+00:303'"
    source, out = FOLDER / f"{name}.edi", FOLDER / name
    source.write_text(text + f"UNT+{11 + 3 * len(readings)}+1'UNZ+1+1'")
    out.mkdir()
    log = logging.getLogger(name)
    log.addHandler(logging.NullHandler())
    log.propagate = False
    head = ["LOC", "PLZ", "KEY"] + [f"{part}{end}" for end in "SE" for part in ("DATE", "Y", "M", "D", "h", "m", "utc")] + ["VALUE"]
    MSCONSConverter(target_dir=str(out), logger=log).convert_to_csv(str(source), head)
    with next(out.iterdir()).open() as file:
        return list(csv.DictReader(file))


found = []
for name, last in (("read", 220), ("substituted", 67)):
    told = rows([(220, 10), (220, 20), (last, 40)], name)
    found.append((dict(Counter(row["VALUE"] for row in told)), sum(float(row["VALUE"]) for row in told)))
    print(name, *found[-1])
twenty = [row["hS"] + row["mS"] + "-" + row["hE"] + row["mE"] for row in told if row["VALUE"] == "20"]
print(*twenty)
same = found == [({"10": 1, "20": 3, "40": 6}, 310.0), ({"10": 1, "20": 3, "0.0": 6}, 70.0)]
raise SystemExit(not (same and twenty == ["0000-0015", "0015-0015", "0015-0030"]))
END
