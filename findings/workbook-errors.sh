#!/usr/bin/env bash
# python-calamine 0.9.1: a cell that holds an error is read as an empty text, so a broken lookup and a blank cell are one.
# A workbook as openpyxl 3.1.5 writes it: an amount, a blank, #N/A and #REF!. Expected: the error's name, as openpyxl reads it, or an error.
# Seen on 2026-11-29, Python 3.11:
#   openpyxl: [12.5, None, '#N/A', '#REF!']
#   calamine: [12.5, '', '', '']
# A column of lookups that failed counts as missing values; nobody is told that the sheet is broken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check python-calamine==0.9.1 openpyxl==3.1.5
"$folder/env/bin/python" - "$folder/book.xlsx" <<'END'
import sys

import openpyxl
from python_calamine import CalamineWorkbook

path = sys.argv[1]
book = openpyxl.Workbook()
for place, value in enumerate((12.5, None, "#N/A", "#REF!"), start=1):
    book.active.cell(place, 1, value)
assert [book.active.cell(place, 1).data_type for place in (3, 4)] == ["e", "e"]
book.active.cell(1, 2, "last column")
book.save(path)
one = [row[0].value for row in openpyxl.load_workbook(path).active.iter_rows()]
other = [row[0] for row in CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()]
print(f"openpyxl: {one}\ncalamine: {other}")
raise SystemExit(not (one == [12.5, None, "#N/A", "#REF!"] and other == [12.5, "", "", ""]))
END
