#!/usr/bin/env bash
# mt-940 5.1.1: a reversal of a credit (field 61, mark RC) takes money from an account, and its amount has no minus.
# An account of 1000.00 with a debit of 100.00, a credit of 300.00 and the reversal of that credit closes at 900.00.
# Expected: -100, 300, -300. The reader puts the sign before a debit by itself, so that amounts can be added.
# Seen on 2026-11-30, Python 3.11:
#   D -100.00, C 300.00, RC 300.00: they add up to 500.00, the balances differ by -100.00
# A borrower's bounced payments count as turnover, and the sum over a month is never below its true one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check mt-940==5.1.1
"$folder/env/bin/python" -W ignore - <<'END_OF_PYTHON'
import mt940

statement = """:20:STATEMENT
:25:12345678/1234567890
:28C:1/1
:60F:C240101CNY1000,00
:61:2401020102D100,00NTRFNONREF
:61:2401030103C300,00NTRFNONREF
:61:2401040104RC300,00NTRFNONREF
:62F:C240104CNY900,00
"""
found = mt940.parse(statement)
amounts = [(entry.data["status"], entry.data["amount"].amount) for entry in found]
opened, closed = (found.data[f"final_{name}_balance"].amount.amount for name in ("opening", "closing"))
total = sum(amount for _, amount in amounts)
print(", ".join(f"{mark} {amount}" for mark, amount in amounts), f": they add up to {total}, the balances differ by {closed - opened}", sep="")
expected = [("D", "-100.00"), ("C", "300.00"), ("RC", "300.00")]
raise SystemExit(not ([(mark, str(amount)) for mark, amount in amounts] == expected and str(closed - opened) == "-100.00"))
END_OF_PYTHON
