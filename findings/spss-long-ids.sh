#!/usr/bin/env bash
# pyreadstat 1.3.7: whole numbers of 64 bits are written to SPSS and Stata files as doubles, without a word: two account numbers
# of 18 digits become one. Neither format has such numbers; pandas warns of what its to_stata loses.
# Two loans of two accounts. Expected: an error or a warning, as the numbers cannot be held, or two accounts.
# Seen on 2026-11-30, Python 3.11, warnings being errors:
#   given:      622202123456789012 622202123456789013
#   from .sav:  622202123456788992 622202123456788992
#   from .dta:  622202123456788992 622202123456788992
#   pandas:     PossiblePrecisionLoss
# Balances of two enterprises are those of one, of which neither has the number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyreadstat==1.3.7 pandas==3.1.1 numpy==2.4.6
cd "$folder"
env/bin/python -W error - <<'END'
import pandas as pd
import pyreadstat

given = [622202123456789012, 622202123456789013]
loans = pd.DataFrame({"account": given, "balance": [100.0, 200.0]})
pyreadstat.write_sav(loans, "loans.sav")
pyreadstat.write_dta(loans, "loans.dta")
found = {"given:": given}
for name, read in (("from .sav:", pyreadstat.read_sav), ("from .dta:", pyreadstat.read_dta)):
    table, _ = read(f"loans{name[5:9]}")
    found[name] = [int(value) for value in table["account"]]
try:
    loans.to_stata("pandas.dta", write_index=False)
    warned = "nothing"
except Warning as warning:
    warned = type(warning).__name__
for name, accounts in found.items():
    print(f"{name:11}", *accounts)
print("pandas:    ", warned)
one = [622202123456788992] * 2
raise SystemExit(not (found["from .sav:"] == found["from .dta:"] == one and warned == "PossiblePrecisionLoss"))
END
