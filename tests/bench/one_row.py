"""One row at a time from a stock, the coordinator having ended: the bank's own command and the grid's daemon, over loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.client.like import scores_like
from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from common.plan.trees import Trees
from common.trial.processes import Trial
from tests.bench import jobs
from tests.bench.tables import write_tables

_WARM = 20  # requests that are not counted
_FOR_TREES = 20_000  # rows, of which so many train that a bank allows what 80 trees tell


def bench_one_row(requests: int, grid: int, bank: int, trees: Trees | None = None) -> dict[str, Any]:
    """Milliseconds from the request written to the decision read; processor and bytes a row, beyond those of a session.

    trees: in place of a line.
    """
    rows, training = requests + 2 * _WARM, 5000 if trees is None else _FOR_TREES
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        part = jobs.declare(write_tables(folder / "part", training, grid, bank, months=1), period=False)
        asked = jobs.declare(write_tables(folder / "asked", rows, grid, bank, months=1, seed=2), period=False)
        wanted = pd.read_parquet(asked["grid"]["path"], columns=["id"])["id"].tolist()
        daemons, lines = jobs.start(folder, {side: {"part": part[side], "asked": asked[side]} for side in part})
        with lines, daemons as trial:
            with trial.client() as client:
                side = Side(dataset="part")
                shared: dict[str, Any] = {"grid": side, "bank": side, "split": Split(), "limits": jobs.SMALL}
                plan = TrainPlan(**shared, preparation=jobs.AS_THEY_ARE) if trees is None else TrainPlan(**shared, model=trees)
                trained, _ = jobs.run(client, plan)
                for count in (_WARM, rows):
                    jobs.run(client, scores_like(trained, count, "bench"))
            trial.kill("coordinator")
            few, _ = _session(trial, trained.id, wanted[:_WARM], _WARM)
            many, took = _session(trial, trained.id, wanted[_WARM:], rows)
    counted = many["rows"] - few["rows"]
    quantiles = np.percentile(took[_WARM:], [50, 90, 99, 100]).round(2).tolist()
    return {
        "requests": requests,
        "grid": grid,
        "bank": bank,
        "trees": 0 if trees is None else trees.trees,
        "milliseconds": dict(zip(("median", "p90", "p99", "largest"), quantiles, strict=True)),
        "cpu_milliseconds": {side: round((many[side] - few[side]) / counted, 2) for side in ("grid_cpu", "bank_cpu")},
        "bytes": round((many["bytes"] - few["bytes"]) / counted),
    }


def _session(trial: Trial, model: str, ids: list[str], least: int) -> tuple[dict[str, float], list[float]]:
    """One session of the bank's command: what it came to, and the milliseconds of each request."""
    names = ("--model", model, "--grid-dataset", "asked", "--bank-dataset", "asked", "--rows", str(least))
    command = [sys.executable, "-m", "bank_party", "score", *names, "--config", str(trial.folder / "bank.toml")]
    grid, before = trial.processes["grid"].pid, jobs.processor(trial.processes["grid"].pid)
    process = subprocess.Popen(
        [*command, "--requests", "-", "--json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    took = []
    for id in ids:
        begun = time.perf_counter()
        process.stdin.write(id + "\n")
        if "u" not in (answer := json.loads(process.stdout.readline() or "{}")):
            raise SystemExit(f"a request was not answered: {answer} {process.stderr.read()}")
        took.append(1e3 * (time.perf_counter() - begun))
    own = jobs.processor(process.pid)
    process.stdin.close()
    done = json.loads(process.stderr.read().splitlines()[-1])
    if process.wait(60):
        raise SystemExit("the bank's command ended with an error")
    return {"rows": done["rows"], "bytes": done["bytes"], "grid_cpu": jobs.processor(grid) - before, "bank_cpu": own}, took
