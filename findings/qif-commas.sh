#!/usr/bin/env bash
# quiffen 4.0.1: amounts of a bank's QIF file with a decimal comma, as Quicken and banks in France, Germany or Brazil write them, are
# read without it: a payment of 45,30 is one of 4530. One of 1.234,56 is 1.23456. Expected: 45.30 and 1234.56, or an error, as of
# qifparse 0.5, which reads the same file.
# Seen on 2026-11-30, Python 3.11:
#   quiffen 4.0.1   2024-02-05 -4530   2024-02-06 250000   2024-02-07 -1.23456
#   qifparse 0.5    ValueError: could not convert string to float: '-45,30'
# Commas are taken out of each number; there is day_first for dates, and nothing for amounts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check quiffen==4.0.1 qifparse==0.5
"$folder/env/bin/python" -W ignore - "$folder" <<'END'
import sys
from decimal import Decimal
from pathlib import Path

from qifparse.parser import QifParser
from quiffen import Qif

path = Path(sys.argv[1]) / "account.qif"
PAYMENTS = (("05/02/2024", "-45,30"), ("06/02/2024", "2500,00"), ("07/02/2024", "-1.234,56"))
path.write_text("!Type:Bank\n" + "".join(f"D{day}\nT{amount}\nPpower\n^\n" for day, amount in PAYMENTS))
(account,) = Qif.parse(path, day_first=True).accounts.values()
found = [(f"{one.date:%Y-%m-%d}", one.amount) for one in account.transactions["Bank"]]
print("quiffen:", *(f"{day} {amount}" for day, amount in found))
try:
    with path.open() as file:
        other = str(QifParser.parse(file, "%d/%m/%Y"))
except ValueError as error:
    other = f"ValueError: {error}"
print("qifparse:", other)
same = [amount for _, amount in found] == [Decimal(-4530), Decimal(250000), Decimal("-1.23456")]
raise SystemExit(not (same and other.endswith("'-45,30'")))
END
