#!/usr/bin/env bash
# cn2an 0.5.24: amounts in Chinese capitals, as cheques and invoices have them, are cut after the fen and not rounded: 4.1 kWh at 3 yuan, which
# a float has as 12.299999999999999, are twelve yuan twenty-nine.
# Expected: 12.30, as round and every printed figure have it.
# Seen on 2026-12-01, Python 3.11:
#   4.1 * 3 = 12.30: 壹拾贰元贰角玖分
#   0.7 + 0.1 = 0.80: 柒角玖分
#   of all products of 0.1 to 9.9 and whole numbers to 99, 1233 of 9801 are a fen short
# Of some of them it warns that digits behind the sixteenth are cut, of these two it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check cn2an==0.5.24
cd "$folder"
env/bin/python -W error - <<'END'
import warnings

import cn2an

seen = []
for told, amount in (("4.1 * 3", 4.1 * 3), ("0.7 + 0.1", 0.7 + 0.1)):
    seen.append(cn2an.an2cn(amount, "rmb"))
    print(f"{told} = {amount:.2f}: {seen[-1]}")
warnings.simplefilter("ignore")
short, count = 0, 0
for tenths in range(1, 100):
    for times in range(1, 100):
        exact = f"{tenths * times // 10}.{tenths * times % 10}"
        short += cn2an.an2cn(tenths / 10 * times, "rmb") != cn2an.an2cn(exact, "rmb")
        count += 1
print(f"of all products of 0.1 to 9.9 and whole numbers to 99, {short} of {count} are a fen short")
raise SystemExit(not (seen == ["壹拾贰元贰角玖分", "柒角玖分"] and short > 100))
END
