#!/usr/bin/env bash
# bankstatementparser 0.0.29: of a BAI2 payment with a value date (funds type V) the date is taken for the bank's reference, and the
# value date is the file's; of one whose funds come by degrees (S) the first amount is the reference, the last the text.
# A payment of 31 July 2015 with the value date 3 August, and one of 25.99 GBP: 10.00 now, 10.00 a day on, 5.99 later.
# Expected, and found by bai2 0.15.0: value date 2015-08-03; texts late and by degrees.
# Seen on 2026-11-30, Python 3.11:
#   bai2: 2015-08-03 late; by degrees
#   bankstatementparser: 2015-07-31, reference 150803, first; reference 1000, 599
# The month of a payment is another one, its text is gone, and payments that share a date or an amount share a reference.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check bankstatementparser==0.0.29 bai2==0.15.0
cat > "$folder/july.bai2" <<'END'
01,BANKGB00,8888888,150731,2112,0013,,,2/
02,8888888,BANKGB00,1,150731,2340,GBP,2/
03,77777777,GBP,010,10000,,/
16,399,1234,V,150803,,first,own1,late/
16,399,2599,S,1000,1000,599,second,own2,by degrees/
49,13833,4/
98,13833,1,6/
99,13833,1,8/
END
"$folder/env/bin/python" -W ignore - "$folder/july.bai2" <<'END'
import sys
from pathlib import Path

from bai2 import bai2
from bankstatementparser import Bai2Parser

payments = bai2.parse_from_string(Path(sys.argv[1]).read_text()).children[0].children[0].children
given = [(str(payments[0].availability["date"]), payments[0].text), payments[1].text]
print(f"bai2: {given[0][0]} {given[0][1]}; {given[1]}")
first, second = Bai2Parser(sys.argv[1]).parse().to_dict("records")
found = [(str(first["ValDt"]), first["Reference"], first["description"]), (second["Reference"], second["description"])]
print(f"bankstatementparser: {found[0][0]}, reference {found[0][1]}, {found[0][2]}; reference {found[1][0]}, {found[1][1]}")
expected = [("2015-07-31", "150803", "first"), ("1000", "599")]
raise SystemExit(not (given == [("2015-08-03", "late"), "by degrees"] and found == expected))
END
