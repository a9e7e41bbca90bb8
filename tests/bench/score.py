"""Batch scoring: a model trained on a part, then a scoring plan over every aligned row of (enterprise, month)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from common.plan.request import Side
from common.plan.score import ScorePlan
from common.plan.section import Section
from common.plan.train import Split, TrainPlan
from common.stages.estimate import Sizes, estimate
from common.stats.measures import sigmoid
from tests.bench import jobs
from tests.bench.anatomy import anatomy
from tests.bench.plaintext import timed
from tests.bench.stage import outcome
from tests.bench.tables import MONTHS, write_tables

_TRAIN_ROWS = 20_000
SCORED = Model(iterations=6)
_KEYS: tuple[Literal["id", "period"], ...] = ("id", "period")


def bench_score(
    rows: int, grid: int, bank: int, repeat: int = 1, *, ahead: bool = False, profiled: bool = False,
    section: Section = SCORED, texts: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Seconds of the score stage, medians over `repeat` jobs; beside the same rows scored and written by one process.

    section: of the model. texts: of the grid's columns; if any, two reasons a row are told.
    """
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        part = jobs.declare(write_tables(folder / "part", min(rows, _TRAIN_ROWS), grid, bank))
        whole = jobs.declare(write_tables(folder / "all", rows, grid, bank, seed=2))
        datasets = {side: {"part": part[side], "all": whole[side]} for side in part}
        if texts:
            spoken = {f"g{k}": {"kind": "numeric", "reason": f"Text {k % texts}"} for k in range(grid)}
            datasets["grid"] = {name: {**one, "columns": spoken} for name, one in datasets["grid"].items()}
        reasons = 2 if texts else 0
        runs, profile = _secure(folder, datasets, repeat, ahead, profiled, section, reasons)
        plain = _plaintext(whole["grid"]["path"], whole["bank"]["path"], folder / "scores.csv")
        workload = {"rows": rows, "grid": grid, "bank": bank, "model": section.model_dump(), "texts": texts}
        result = outcome(workload, "score", runs, plain)
        result["off_formula"] = _off(runs[-1][0], Sizes(rows, grid, bank + 1, months=MONTHS), ahead, section, reasons)
        if profiled:
            result["profile"] = anatomy(profile, result["bytes"])
    return result


def _training(model: Section = SCORED) -> TrainPlan:
    side, split = Side(dataset="part"), Split(test=0.3)
    fields: dict[str, Any] = {"matching": "ecdh"} if model.undealt else {}
    return TrainPlan(
        grid=side, bank=side, keys=_KEYS, split=split, model=model, limits=jobs.SMALL, preparation=jobs.AS_THEY_ARE, **fields
    )


def _how(section: Section) -> dict[str, Any]:
    """What scoring plans by such a model say besides."""
    return {"dealer": "none", "matching": "ecdh"} if section.undealt else {}


def _secure(
    folder: Path, datasets: dict[str, Any], repeat: int, ahead: bool, profiled: bool, section: Section, reasons: int
) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    side, runs = Side(dataset="all"), []
    daemons, lines = jobs.start(folder, datasets, None, jobs.ProfiledTrial if profiled else jobs.Trial)
    with lines, daemons as trial, trial.client() as client:
        trained, _ = jobs.run(client, _training(section))
        jobs.forget_scores(trial)  # the held-out rows' keys may be among those to score
        for k in range(repeat):
            if k:
                jobs.forget_scores(trial)
            if ahead:
                columns = {f"{s}_columns": getattr(trained, s).report.counts.trained_columns for s in ("grid", "bank")}
                jobs.run(client, PredealPlan(serves="scores", rows=_rows(datasets), **columns))
            dealt: Literal["ahead", "online"] = "ahead" if ahead else "online"
            plan = ScorePlan(
                grid=side, bank=side, keys=_KEYS, model=trained.id, dealt=dealt, grid_reasons=reasons, **_how(section)
            )
            runs.append(jobs.run(client, plan))
        profile = trial.profile("score") if isinstance(trial, jobs.ProfiledTrial) else {}
    return runs, profile


def bench_alone(rows: int, grid: int, bank: int) -> dict[str, Any]:
    """Seconds of each stage at the bank, of a scoring from a stock by its own command once the coordinator has ended."""
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        part = jobs.declare(write_tables(folder / "part", min(rows, _TRAIN_ROWS), grid, bank))
        whole = jobs.declare(write_tables(folder / "all", rows, grid, bank, seed=2))
        datasets = {side: {"part": part[side], "all": whole[side]} for side in part}
        daemons, lines = jobs.start(folder, datasets)
        with lines, daemons as trial:
            with trial.client() as client:
                trained, _ = jobs.run(client, _training())
                columns = {f"{s}_columns": getattr(trained, s).report.counts.trained_columns for s in ("grid", "bank")}
                jobs.run(client, PredealPlan(serves="scores", rows=_rows(datasets), **columns))
                jobs.forget_scores(trial)
            trial.kill("coordinator")
            names = ("--model", trained.id, "--grid-dataset", "all", "--bank-dataset", "all", "--by-period", "--json")
            command = [sys.executable, "-m", "bank_party", "score", *names, "--config", str(trial.folder / "bank.toml")]
            begun = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            total = time.monotonic() - begun
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
    side = {"dataset": "all"}
    raw = {"grid": side, "bank": side, "model": "m", "dealt": "ahead", "matching": "ecdh"}
    months = 2 * 16  # which are told first; a row is then a name with its month in it
    expected = estimate(ScorePlan.model_validate(raw), Sizes(rows, grid, bank + 1)).bytes
    line = expected["grid_to_bank"] + expected["bank_to_grid"] + months
    return {
        "rows": found["rows"],
        "grid": grid,
        "bank": bank,
        "seconds": {**found["seconds"], "total": total},
        "megabytes": found["bytes"] / 1e6,
        "off_formula": found["bytes"] / line - 1.0,
    }


def _rows(datasets: dict[str, Any]) -> int:
    return int(pq.read_metadata(datasets["bank"]["all"]["path"]).num_rows)


def _off(job: Any, sizes: Sizes, ahead: bool, section: Section, reasons: int) -> float:
    """By how much what the two sent each other differs from the formula, as a share of it."""
    side, dealt = Side(dataset="all"), "ahead" if ahead else "online"
    raw = {"grid": side, "bank": side, "keys": _KEYS, "model": "m", "dealt": dealt, "grid_reasons": reasons, **_how(section)}
    expected = estimate(ScorePlan.model_validate(raw), sizes, section).bytes
    sent = {"grid_to_bank": job.grid.report.peer.sent, "bank_to_grid": job.bank.report.peer.sent}
    return max(abs(count / expected[line] - 1.0) for line, count in sent.items())


def _plaintext(grid: Path, bank: Path, out: Path) -> float:
    """Seconds to score joined tables in one process and write the same file; reading and joining are not in it."""
    tables = [pd.read_parquet(path).sort_values(["id", "month"], ignore_index=True) for path in (grid, bank)]
    x = np.column_stack([table.drop(columns=["id", "month", "y"], errors="ignore").to_numpy(np.float64) for table in tables])
    keys, weights = tables[0][["id", "month"]], np.full(x.shape[1], 0.1)

    def score() -> None:
        u = x @ weights
        keys.assign(u=u, probability=sigmoid(u)).to_csv(out, index=False)

    return timed(score)[0]
