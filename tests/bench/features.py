"""`wattscore features` on monthly records of any number, from CSV and from Parquet, at both parties; what a user would type."""

from __future__ import annotations

import hashlib
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from pyarrow import csv

from common.party import Party
from common.trial.world import make_world, world_config

MONTHS = 24
FORMATS = ("csv", "parquet")
_KNOWN = 0.9  # of the world's enterprises, at the party that knows fewer of them
_COMMAND = [sys.executable, "-m", "tests.bench.told", "features"]


def bench_features(records: int, repeat: int = 1, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Each party's default recipes, a sample a month, quality report included, of at least `records` enterprise-months.

    options: further ones of the command, such as --memory-mib. Seconds, processor seconds and peak memory are of the whole
    process, the largest of `repeat` runs; with --ray those of the cluster's workers apart. Raises SystemExit if one fails.
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
        "seconds": max(cost.seconds for cost in costs),
        "processor_seconds": max(cost.processor for cost in costs),
        "peak_mib": max(cost.peak for cost in costs),
        "workers_processor_seconds": max(cost.workers[0] for cost in costs),
        "workers_peak_mib": max(cost.workers[1] for cost in costs),
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
    }


def _to_parquet(source: Path) -> int:
    """The same records, every cell as the text it is in the CSV: they are dirty."""
    names = source.open(encoding="utf-8").readline().strip().split(",")
    table = csv.read_csv(source, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, "string")))
    pq.write_table(table, source.with_suffix(".parquet"))
    rows: int = table.num_rows
    return rows


class _Cost(NamedTuple):
    """Of one process, and what the command says of a cluster's workers: processor seconds, peak MiB of the largest."""

    seconds: float
    processor: float
    peak: float
    workers: tuple[float, float]


def _ended(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace")


def _run(command: list[str]) -> _Cost:
    begin = time.monotonic()
    done = _ended(command)
    if done.returncode:
        raise SystemExit(f"wattscore features failed: {done.stderr.strip()}")
    processor, peak = (float(word) for word in done.stderr.split()[-2:])
    told = re.search(r"([\d.]+) s of processor time, (\d+) MiB at most a worker", done.stdout)
    workers = (float(told[1]), float(told[2])) if told else (0.0, 0.0)
    return _Cost(time.monotonic() - begin, processor, peak, workers)
