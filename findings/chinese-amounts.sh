#!/usr/bin/env bash
# jionlp 1.5.31: an amount with digits before 万 or 亿 and again before 千 is read as a larger one, without an error. In Chinese digits the
# same amounts are read as they are. Expected: 120 million, 15 and 125 thousand, from either form.
# Seen on 2026-11-30, Python 3.11:
#   1亿2千万    220000000.00  一亿二千万    120000000.00
#   1万5千元        25000.00  一万五千元        15000.00
#   12万5千元      155000.00  十二万五千元     125000.00
# Loans and turnovers as people type them come out at up to nearly twice what they are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check jionlp==1.5.31
"$folder/env/bin/python" -W ignore - <<'END'
import jionlp

pairs = (("1亿2千万", "一亿二千万"), ("1万5千元", "一万五千元"), ("12万5千元", "十二万五千元"))
read = [tuple(float(jionlp.parse_money(text)["num"]) for text in pair) for pair in pairs]
for (typed, written), (one, other) in zip(pairs, read, strict=True):
    print(f"{typed}  {one:.2f}  {written}  {other:.2f}")
plain = float(jionlp.parse_money("3.5万元")["num"])
raise SystemExit(not (read == [(2.2e8, 1.2e8), (25000, 15000), (155000, 125000)] and plain == 35000))
END
