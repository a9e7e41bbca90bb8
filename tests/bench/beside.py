"""Several banks of so many rows each beside one bank of all of them, through the same daemons, one job after another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.client.client import Client, failure
from common.plan.read import AnyPlan
from common.plan.train import TrainPlan
from common.trial.processes import Trial, more_bank
from tests.bench.banks import BANK, LOOSE
from tests.bench.line import Lines, Shape
from tests.reference import sigmoid
from tests.scenarios.end_to_end.several import World, write_world

GRID, COMMON = 25, 15
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"model": {"iterations": 15}, "preparation": {"coding": "linear"}},
    "network": {"model": {"kind": "network", "epochs": 15, "batch": 0}, "preparation": {"coding": "linear"}},
    "trees": {"model": {"kind": "trees", "trees": 20}},
    "trees-abreast": {"model": {"kind": "trees", "trees": 20, "abreast": 4, "rate": 0.15}},
}
_OFTEN: dict[str, Any] = {"jobs_per_day": 1000, "models_per_day": 1000}
_TOLD: dict[str, Any] = {"metric_bits": 1e6, "label_bits": 1e3}
_TICK = os.sysconf("SC_CLK_TCK")


def make_world(folder: Path, banks: int, rows: int) -> World:
    """Normal columns, 25 of the grid and 15 of the banks; the last bank, which the world does not name, has all rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((banks * rows, GRID + COMMON)).round(4)
    ids = pd.Index([f"E{i:07d}" for i in range(len(x))], name="id")
    overdue = rng.random(len(x)) < sigmoid(x @ rng.standard_normal(GRID + COMMON) / 4 - 1.0)
    grid = pd.DataFrame(x[:, :GRID], index=ids, columns=[f"g{j}" for j in range(GRID)])
    bank = pd.DataFrame(x[:, GRID:], index=ids, columns=[f"b{j}" for j in range(COMMON)]).assign(y=overdue.astype(int))
    found = write_world(folder, grid, [*(bank[k * rows : (k + 1) * rows] for k in range(banks)), bank])
    return World(folder, found.names[:-1], found.columns)


def bench_beside(
    banks: int, rows: int, repeat: int, shape: str | None = None, models: Sequence[str] = ("linear",)
) -> list[dict[str, Any]]:
    """Of each model and way the least seconds of the training stage, and of the whole job the processor's, of all processes.

    models: of MODELS. shape: of a line between all processes, as `Shape.parse` takes it.
    """
    lines = Lines(Shape.parse(shape)) if shape else nullcontext()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        world = make_world(folder, banks, rows)
        whole = f"bank-{banks + 1}"
        datasets = World(folder, (*world.names, whole), world.columns).datasets
        more = {name: {"policy": {**BANK, **_OFTEN, **_TOLD}} for name in datasets if name != "grid"}
        settings: dict[str, Any] = {"grid": {"policy": {**LOOSE, **_OFTEN, "scores_per_row": 1000}}} | more
        sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "with_bank": str(more_bank(whole))}
        limits = {"limits": {name: LOOSE[name] for name in ("min_matched", "min_rows", "rows_per_column")}}
        via = {"via": lines.via} if isinstance(lines, Lines) else {}
        found = []
        with lines, Trial(folder, datasets, settings, **via) as trial, trial.client() as client:
            for model in models:
                asked = MODELS[model] | limits
                plans: dict[str, AnyPlan] = {"several": world.plan(**asked), "one": TrainPlan.model_validate(sides | asked)}
                train, spent = _least(trial, client, plans, repeat)
                told = {"banks": banks, "rows": rows, "model": model, "train": train, "processor": spent}
                found.append({**told, "load": os.getloadavg()[0]})
    return found


def _least(
    trial: Trial, client: Client, plans: Mapping[str, AnyPlan], repeat: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Of each plan's jobs, in turn, the least seconds of the training stage, and of the processor."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in plans}
    for _ in range(repeat):
        for name, plan in plans.items():
            before = _spent(trial)
            *_, job = client.watch(client.submit(plan).id)
            if (error := failure(job)) is not None:
                raise error
            stage = next(s.seconds for s in job.grid.report.seconds if s.stage == "train")
            found[name].append((stage, _spent(trial) - before))
    seconds, spent = ({name: min(run[place] for run in runs) for name, runs in found.items()} for place in (0, 1))
    return seconds, spent


def _spent(trial: Trial) -> float:
    """Processor seconds of all its processes by now."""
    stats = (Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii") for process in trial.processes.values())
    return sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats) / _TICK


def beside_line(found: dict[str, Any]) -> str:
    """A row of the page's table."""
    train, spent = found["train"], found["processor"]
    return (
        f"| {found['model']} | {found['banks']} x {found['rows']:,} | {train['several']:.2f} | {train['one']:.2f} |"
        f" {train['several'] / train['one']:.2f} | {spent['several'] / spent['one']:.2f} | {found['load']:.0f} |"
    )
