#!/usr/bin/env bash
# xlsx2csv 0.8.6: numbers of a workbook are written with six decimals at most where the cells have no format of their own: a small rate is 0.
# Probabilities and a tariff, written by XlsxWriter 3.3.1. Expected: the numbers, as openpyxl 3.1.5 reads them and as cells of one's own
# format keep them.
# Seen on 2026-12-01, Python 3.11:
#   in the workbook   0.0123456789 1.2345e-05   2e-07
#   General           0.012346     0.000012     0
#   0.000000000       0.012345679  1.2345E-05   2E-07
# Of all small probabilities of default the logarithms end there; Excel itself shows 0.012345679, 1.2345E-05 and 2E-07.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check xlsx2csv==0.8.6 xlsxwriter==3.3.1 openpyxl==3.1.5
cd "$folder"
env/bin/python - <<'END'
import csv

import openpyxl
import xlsxwriter
from xlsx2csv import Xlsx2csv

given = [0.0123456789, 1.2345e-05, 2e-07]
book = xlsxwriter.Workbook("rates.xlsx")
sheet = book.add_worksheet()
sheet.write_row(0, 0, given)
sheet.write_row(1, 0, given, book.add_format({"num_format": "0.000000000"}))
book.close()
Xlsx2csv("rates.xlsx").convert("rates.csv")
with open("rates.csv", newline="") as file:
    general, own = csv.reader(file)
held = [[cell.value for cell in row] for row in openpyxl.load_workbook("rates.xlsx").active.rows]
for name, values in (("in the workbook", given), ("General", general), ("0.000000000", own)):
    print(f"{name:17}", *(f"{value!s:12}" for value in values))
raise SystemExit(not (held == [given, given] and general == ["0.012346", "0.000012", "0"] and own == ["0.012345679", "1.2345E-05", "2E-07"]))
END
