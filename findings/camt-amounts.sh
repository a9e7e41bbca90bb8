#!/usr/bin/env bash
# pycamt 1.1.1: where an entry of a bank statement (camt.053) has details, its amount is the first one found anywhere in these.
# That may be the instructed amount in another currency; details without an amount of their own each have that of the whole entry.
# Expected: 7100.00 CNY for a payment instructed as 1000.00 USD, and 300.00 CNY once for a batch of two payments; 7400.00 was booked.
# Seen on 2026-11-30, Python 3.11:
#   1000.00 CNY, 300.00 CNY, 300.00 CNY: 1600.00 of 7400.00
# Dollars are called yuan. In version 02 of camt.053 details have no amount but these, so any payment from abroad can be such.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pycamt==1.1.1
"$folder/env/bin/python" -W ignore - <<'END_OF_PYTHON'
from decimal import Decimal

from pycamt.parser import Camt053Parser


def balance(code, amount):
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f'<Bal>{kind}<Amt Ccy="CNY">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2024-01-05</Dt></Dt></Bal>'


def entry(amount, details):
    head = f'<Amt Ccy="CNY">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2024-01-05</Dt></BookgDt>'
    return f"<Ntry>{head}<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd><NtryDtls>{details}</NtryDtls></Ntry>"


amounts = '<InstdAmt><Amt Ccy="USD">1000.00</Amt></InstdAmt><TxAmt><Amt Ccy="CNY">7100.00</Amt></TxAmt>'
abroad = f"<TxDtls><Refs><EndToEndId>1</EndToEndId></Refs><AmtDtls>{amounts}</AmtDtls></TxDtls>"
two = "".join(f"<TxDtls><Refs><EndToEndId>{k}</EndToEndId></Refs></TxDtls>" for k in (2, 3))
entries = entry("7100.00", abroad) + entry("300.00", f"<Btch><NbOfTxs>2</NbOfTxs></Btch>{two}")
made = "<CreDtTm>2024-01-05T20:00:00+08:00</CreDtTm>"
account = "<Acct><Id><Othr><Id>12345678</Id></Othr></Id></Acct>"
statement = f"<Stmt><Id>1</Id>{made}{account}{balance('OPBD', '0.00')}{balance('CLBD', '7400.00')}{entries}</Stmt>"
space = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"
body = f"<BkToCstmrStmt><GrpHdr><MsgId>1</MsgId>{made}</GrpHdr>{statement}</BkToCstmrStmt>"
found = [(row["Amount"], row["Currency"]) for row in Camt053Parser(f'<Document xmlns="{space}">{body}</Document>').get_transactions()]
print(", ".join(" ".join(pair) for pair in found), f": {sum(Decimal(amount) for amount, _ in found)} of 7400.00", sep="")
raise SystemExit(found != [("1000.00", "CNY"), ("300.00", "CNY"), ("300.00", "CNY")])
END_OF_PYTHON
