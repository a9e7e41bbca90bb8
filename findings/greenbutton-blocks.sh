#!/usr/bin/env bash
# greenbutton-objects 2024.7.11: of interval blocks that stand in one entry of a Green Button (ESPI) file, a block a day say, only the
# first is read: 300 Wh where 1,500 were metered. The Atom schema of the Green Button Alliance has any number of elements in a content.
# Expected: the readings of both, as where each block has an entry of its own.
# Seen on 2026-11-30, Python 3.11:
#   an entry for each block   [100, 200, 400, 800]
#   both in one entry         [100, 200]
# Nothing is said: the days that are left look like a meter that was read for a day.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check greenbutton-objects==2024.7.11
"$folder/env/bin/python" - "$folder" <<'END'
import sys
from pathlib import Path

from greenbutton_objects.parse import parse_feed

POINT = "RetailCustomer/1/UsagePoint/1"
READING = f"{POINT}/MeterReading/1"
HOUR, DAY = 3600, 86400
FIRST = 1704067200  # 1 January 2024, UTC
path = Path(sys.argv[1]) / "usage.xml"


def entry(place: str, related: list[str], content: str) -> str:
    links = f'<link rel="self" href="{place}"/><link rel="up" href="{place.rpartition("/")[0]}"/>'
    links += "".join(f'<link rel="related" href="{other}"/>' for other in related)
    dates = "<published>2024-02-01T00:00:00Z</published><updated>2024-02-01T00:00:00Z</updated>"
    return f"<entry><id>urn:x:{place}</id>{links}<title>power</title><content>{content}</content>{dates}</entry>"


def resource(name: str, inner: str = "") -> str:
    return f'<{name} xmlns="http://naesb.org/espi">{inner}</{name}>'


def span(start: int, seconds: int) -> str:
    return f"<duration>{seconds}</duration><start>{start}</start>"


def block(start: int, values: list[int]) -> str:
    inner = f"<interval>{span(start, DAY)}</interval>"
    for k, value in enumerate(values):
        inner += f"<IntervalReading><timePeriod>{span(start + k * HOUR, HOUR)}</timePeriod><value>{value}</value></IntervalReading>"
    return resource("IntervalBlock", inner)


def read(contents: list[str]) -> list[int]:
    entries = [
        entry(POINT, [f"{POINT}/MeterReading"], resource("UsagePoint", "<ServiceCategory><kind>0</kind></ServiceCategory>")),
        entry(READING, [f"{READING}/IntervalBlock", "ReadingType/1"], resource("MeterReading")),
        entry("ReadingType/1", [], resource("ReadingType", "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom>")),
        *(entry(f"{READING}/IntervalBlock/{k}", [], content) for k, content in enumerate(contents)),
    ]
    head = "<id>urn:x:1</id><title>usage</title><updated>2024-02-01T00:00:00Z</updated>"
    path.write_text(f'<feed xmlns="http://www.w3.org/2005/Atom">{head}{"".join(entries)}</feed>')
    return [one.value for point in parse_feed(path) for meter in point.meterReadings for one in meter.intervalReadings]


days = [block(FIRST, [100, 200]), block(FIRST + DAY, [400, 800])]
apart, together = read(days), read(["".join(days)])
print("an entry for each block:", apart)
print("both in one entry:      ", together)
raise SystemExit(not (apart == [100, 200, 400, 800] and together == [100, 200]))
END
