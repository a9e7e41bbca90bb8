"""`wattscore features` on monthly records of any number, from CSV and from Parquet, at both parties; what a user would type."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import csv

from common.party import Party
from common.trial.world import make_world, world_config

MONTHS = 24
FORMATS = ("csv", "parquet")
_KNOWN = 0.9  # of the world's enterprises, at the party that knows fewer of them
_PROGRAM = """
import atexit, sys, time
from common.cli import main
from common.process.memory import peak_mib
atexit.register(lambda: print(time.process_time(), peak_mib(), file=sys.stderr))
main()
"""  # the kernel's own figure of a child's memory has its parent's in it
_COMMAND = [sys.executable, "-c", _PROGRAM, "features"]


def bench_features(records: int, repeat: int = 1, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Each party's default recipes, a sample a month, quality report included, of at least `records` enterprise-months.

    options: further ones of the command, such as --memory-mib. Seconds, processor seconds and peak memory are of the whole
    process, the largest of `repeat` runs. Raises SystemExit if one fails.
    """
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        make_world(folder, enterprises=math.ceil(records / (MONTHS * _KNOWN)), months=MONTHS)
        runs = [_measured(folder, party, kind, repeat, options) for party in Party for kind in FORMATS]
    return {"records": records, "runs": runs}


def _measured(folder: Path, party: Party, kind: str, repeat: int, options: tuple[str, ...]) -> dict[str, Any]:
    config = world_config(party, folder)
    text = config.read_text(encoding="utf-8").replace("every = 3", "every = 1")
    source = folder / f"{party.value}_monthly.csv"
    rows = _to_parquet(source) if kind == "parquet" else None
    config.write_text(text.replace(source.name, source.with_suffix(f".{kind}").name), encoding="utf-8")
    out = folder / f"{party.value}.parquet"
    command = [*_COMMAND, str(config), "--out", str(out), "--report", str(folder / "quality"), *options]
    costs = [_run(command) for _ in range(repeat)]
    shape = pq.read_metadata(out)
    return {
        "party": party.value,
        "source": kind,
        "rows_read": rows or sum(1 for _ in source.open("rb")) - 1,
        "samples": shape.num_rows,
        "features": shape.num_columns - (2 if party is Party.GRID else 3),
        "seconds": max(seconds for seconds, _, _ in costs),
        "processor_seconds": max(processor for _, processor, _ in costs),
        "peak_mib": max(peak for _, _, peak in costs),
    }


def _to_parquet(source: Path) -> int:
    """The same records, every cell as the text it is in the CSV: they are dirty."""
    names = source.open(encoding="utf-8").readline().strip().split(",")
    table = csv.read_csv(source, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, "string")))
    pq.write_table(table, source.with_suffix(".parquet"))
    rows: int = table.num_rows
    return rows


def _run(command: list[str]) -> tuple[float, float, float]:
    """(seconds, processor seconds, peak MiB) of a process."""
    begin = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode:
        raise SystemExit(f"wattscore features failed: {done.stderr.strip()}")
    processor, peak = (float(word) for word in done.stderr.split()[-2:])
    return time.monotonic() - begin, processor, peak
