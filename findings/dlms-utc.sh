#!/usr/bin/env bash
# dlms-cosem 25.1.0: the clock of a meter that runs in UTC (deviation 0) is read as a time without zone, as one whose deviation is "not
# specified" (0x8000) is. One hour east or west it has its zone. gurux_dlms 1.0.203 reads all of these as the standard says.
# The twelve bytes are a DLMS date-time: date, time, deviation in minutes to UTC, clock status. Expected: 10:00+00:00 for deviation 0.
# Seen on 2026-11-30, Python 3.11, deviation 0, -60, not specified:
#   dlms-cosem   2026-07-01T10:00:00        2026-07-01T10:00:00+01:00  2026-07-01T10:00:00
#   gurux_dlms   2026-07-01T10:00:00+00:00  2026-07-01T10:00:00+01:00  2026-07-01T10:00:00
#   written again by dlms-cosem, deviation 0 is 0x8000
# Load profiles of meters in UTC lose their zone: who takes them for local time moves readings into another day and another month.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check dlms-cosem==25.1.0 gurux-dlms==1.0.203
"$folder/env/bin/python" -W ignore - <<'END'
from dlms_cosem.time import datetime_from_bytes, datetime_to_bytes
from gurux_dlms import GXDLMSClient
from gurux_dlms.enums import DataType

clocks = [bytes.fromhex(f"07ea0701030a000000{deviation}00") for deviation in ("0000", "ffc4", "8000")]
one = [datetime_from_bytes(clock)[0].isoformat() for clock in clocks]
other = [GXDLMSClient.changeType(bytearray(clock), DataType.DATETIME).value.isoformat() for clock in clocks]
again = datetime_to_bytes(datetime_from_bytes(clocks[0])[0])[9:11].hex()
print(f"dlms-cosem   {'  '.join(one)}\ngurux_dlms   {'  '.join(other)}\nwritten again by dlms-cosem, deviation 0 is 0x{again}")
right = ["2026-07-01T10:00:00+00:00", "2026-07-01T10:00:00+01:00", "2026-07-01T10:00:00"]
raise SystemExit(not (other == right and one[1:] == right[1:] and one[0] == right[2] and again == "8000"))
END
