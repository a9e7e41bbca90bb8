#!/usr/bin/env bash
# Polars 2.1.0 with fastexcel 0.21.0: texts in a workbook's column that held numbers in its first 100 rows are missing, without a word.
# 150 meters, of which the last 50 have numbers such as A101, and one reading that was typed as the text 1,400.
# Expected: texts, or an error, as read_csv and read_database give for what comes behind the rows by which a type was chosen.
# Seen on 2026-12-01, Python 3.11, warnings being errors:
#   149 rows, meters: Int64, 49 missing
#   with infer_schema_length=None  150 rows, meters: String, 0 missing
# A join by the meters' numbers loses those of the new series; the row in which both values are texts is gone, taken for an empty one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check polars==2.1.0 fastexcel==0.21.0 pyarrow==26.0.1 xlsxwriter==3.3.1
cd "$folder"
env/bin/python -W error - <<'END'
import warnings

import polars as pl
import xlsxwriter

warnings.simplefilter("error")
book = xlsxwriter.Workbook("meters.xlsx")
sheet = book.add_worksheet()
sheet.write_row(0, 0, ["meter", "kWh"])
for k in range(1, 151):
    sheet.write_row(k, 0, [k if k <= 100 else f"A{k}", "1,400" if k == 140 else k + 0.5])
book.close()
table = pl.read_excel("meters.xlsx")
print(f"{len(table)} rows, meters: {table.schema['meter']}, {table['meter'].null_count()} missing")
whole = pl.read_excel("meters.xlsx", infer_schema_length=None)
print(f"with infer_schema_length=None  {len(whole)} rows, meters: {whole.schema['meter']}, {whole['meter'].null_count()} missing")
seen = [len(table), str(table.schema["meter"]), table["meter"].null_count(), len(whole), str(whole.schema["meter"])]
raise SystemExit(seen != [149, "Int64", 49, 150, "String"])
END
