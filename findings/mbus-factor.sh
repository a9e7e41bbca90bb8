#!/usr/bin/env bash
# pyMeterBus 0.8.5: the correction factor of an M-Bus record (EN 13757-3: VIFE 7D is x 1000, 70 to 77 are x 10^-6 to x 10) is not applied
# to the value: the unit's name stays, and an "unknown enhancement" is all that is said.
# Two telegrams of an electricity meter, 1234 in steps of 1 kWh, the second with the factor of 1000. Expected: 1.234 MWh and 1.234 GWh.
# Seen on 2026-11-30, Python 3.11:
#   without a factor  (1234000, 'WH', None)
#   factor 1000       (1234000, 'WH', 'VIFUnitEnhExt.UNKNOWN_ENHANCEMENT')
#   the second quantity by the extension for MWh  (1234000000, 'WH', None)
# Meters behind large transformers have such factors: an enterprise's consumption is a thousandth of what it was.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pyMeterBus==0.8.5
"$folder/env/bin/python" -W ignore - <<'END'
import meterbus

HEAD = "08 01 72 78563412 2440 01 02 55 00 0000"  # response, address, variable data, number, maker, version, electricity, ...


def read(record: str) -> tuple[int, str, str | None]:
    body = bytes.fromhex(HEAD + record)
    size = len(body)
    told = meterbus.load(bytes([0x68, size, size, 0x68, *body, sum(body) & 255, 0x16])).records[0].interpreted
    return int(told["value"]), told["unit"].removeprefix("MeasureUnit."), told.get("unit_enh")


plain, factor, extension = read("04 06 D2040000"), read("04 86 7D D2040000"), read("04 FB 01 D2040000")
print(f"without a factor  {plain}\nfactor 1000       {factor}\nthe second quantity by the extension for MWh  {extension}")
kinds = [plain == (1234000, "WH", None), factor == (1234000, "WH", "VIFUnitEnhExt.UNKNOWN_ENHANCEMENT"), extension == (1234000000, "WH", None)]
raise SystemExit(not all(kinds))
END
