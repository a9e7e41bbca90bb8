#!/usr/bin/env bash
# ofxparse 0.21: a transaction's time is moved to UTC and its zone dropped, a date without a time is not moved.
# OFX 1.02 as banks write it: DTPOSTED 20240131233000[-5:EST] is half past eleven at night on 31 January, where the bank is.
# Expected: that day, or an instant that still has its zone.
# Seen on 2026-11-29, Python 3.11:
#   20240131233000[-5:EST] -> 2024-02-01 04:30:00
#   20240201003000[+8:CST] -> 2024-01-31 16:30:00
#   20240131               -> 2024-01-31 00:00:00
# None has a zone. Summed by month, one repayment of January is February's and one of February is January's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check ofxparse==0.21
"$folder/env/bin/python" -W ignore - <<'END'
import io

from ofxparse import OfxParser

HEAD = "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:USASCII\nCHARSET:1252\nCOMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n"
STATUS = "<STATUS><CODE>0<SEVERITY>INFO</STATUS>"
given = ("20240131233000[-5:EST]", "20240201003000[+8:CST]", "20240131")
rows = "".join(f"<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>{when}<TRNAMT>100.00<FITID>{k}<NAME>R</STMTTRN>" for k, when in enumerate(given))
text = (
    f"{HEAD}<OFX><SIGNONMSGSRSV1><SONRS>{STATUS}<DTSERVER>20240202<LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1>"
    f"<BANKMSGSRSV1><STMTTRNRS><TRNUID>1{STATUS}<STMTRS><CURDEF>USD"
    "<BANKACCTFROM><BANKID>1<ACCTID>2<ACCTTYPE>CHECKING</BANKACCTFROM>"
    f"<BANKTRANLIST><DTSTART>20240101<DTEND>20240202{rows}</BANKTRANLIST>"
    "<LEDGERBAL><BALAMT>10.00<DTASOF>20240202</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
)
found = [t.date for t in OfxParser.parse(io.BytesIO(text.encode())).account.statement.transactions]
for when, date in zip(given, found):
    print(f"{when:22} -> {date}")
seen = [str(date) for date in found] == ["2024-02-01 04:30:00", "2024-01-31 16:30:00", "2024-01-31 00:00:00"]
raise SystemExit(not (seen and all(date.tzinfo is None for date in found)))
END
