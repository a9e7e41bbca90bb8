#!/usr/bin/env bash
# openpyxl 3.1.5, and so pandas 3.1.1 by default: dates in the formats that Excel in Chinese has built in come as whole numbers.
# Formats 27 to 36 and 50 to 58 are dates of the language (ECMA-376, 18.8.30): a workbook names their number alone, 57 for 2024年1月.
# A cell of 2024-01-31 in each. Expected: a date, as in format 14, and as python-calamine 0.9.1 has it.
# Seen on 2026-11-30, Python 3.11:
#   format 14: openpyxl 2024-01-31, calamine 2024-01-31
#   format 31: openpyxl 45322, calamine 2024-01-31
#   format 57: openpyxl 45322, calamine 2024-01-31
# A column of months becomes a number that grows: a model takes it for an amount.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check openpyxl==3.1.5 python-calamine==0.9.1 pandas==3.1.1
cd "$folder"
"$folder/env/bin/python" - <<'END'
import re
from zipfile import ZipFile

import openpyxl
import pandas as pd

found = {}
for number in (14, 31, 57):
    book = openpyxl.Workbook()
    book.active.append(["month"])
    book.active.append([45322])
    book.active["A2"].number_format = "yyyy-mm-dd"  # a format of its own, in whose place comes the built-in one
    book.save("made.xlsx")
    with ZipFile("made.xlsx") as made, ZipFile("months.xlsx", "w") as months:
        for name in made.namelist():
            part = made.read(name)
            if name == "xl/styles.xml":
                text = re.sub(r"<numFmts.*?</numFmts>", "", part.decode())
                part = text.replace('numFmtId="164"', f'numFmtId="{number}"').encode()
            months.writestr(name, part)
    cells = [pd.read_excel("months.xlsx", engine=engine)["month"][0] for engine in ("openpyxl", "calamine")]
    shown = [str(cell.date()) if isinstance(cell, pd.Timestamp) else str(cell) for cell in cells]
    found[number] = shown
    print(f"format {number}: openpyxl {shown[0]}, calamine {shown[1]}")
day = "2024-01-31"
raise SystemExit(found != {14: [day, day], 31: ["45322", day], 57: ["45322", day]})
END
