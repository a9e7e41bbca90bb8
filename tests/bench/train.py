"""One workload through the three real daemons, several times, and the same rows in plaintext in the same run."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from common.client import Client
from common.dataset import DatasetConfig, read_table
from common.party import Party
from common.plan import Model, PredealPlan, Side, Split, TrainPlan
from common.stages import split
from common.stages.metrics import evaluate
from common.stages.prepare import prepare
from common.table import FeatureTable
from common.trial import Trial
from common.trial_cli import as_json
from tests.bench.line import Lines, Shape, measure
from tests.bench.tables import HELD_OUT, write_tables


def bench_train(
    rows: int, grid: int, bank: int, iterations: int, link: str, repeat: int = 1, line: str | None = None, predeal: bool = False
) -> dict[str, Any]:
    """Medians over `repeat` jobs of what `wattscore try --json` reports, and the plaintext fits of the same training rows."""
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder:
        paths = write_tables(Path(folder), rows, grid, bank)
        datasets = {
            name: {"path": path, "id": "id", "period": "month"} for name, path in zip(("grid", "bank"), paths, strict=True)
        }
        datasets["bank"]["label"] = "y"
        side = Side(dataset="t")
        model = Model(link=link, iterations=iterations)
        dealt = "ahead" if predeal else "online"
        plan = TrainPlan(grid=side, bank=side, keys=("id", "period"), split=Split(test=HELD_OUT), model=model, dealt=dealt)
        stock = PredealPlan(model=model, rows=rows * 51 // 50, grid_columns=grid, bank_columns=bank + 1) if predeal else None
        shape = None if line is None else Shape.parse(line)
        runs = _secure(Path(folder), datasets, plan, repeat, shape, stock)
        plain = _plaintext(plan, datasets, repeat)
    seconds = {name: statistics.median(run["seconds"][name] for run in runs) for name in runs[0]["seconds"]}
    spread = {name: [min(run["seconds"][name] for run in runs), max(run["seconds"][name] for run in runs)] for name in seconds}
    last = runs[-1]
    return {
        "rows": rows,
        "grid": grid,
        "bank": bank,
        "iterations": iterations,
        "link": link,
        "line": None if shape is None else {"asked": line, **measure(shape)},
        "train_rows": last["rows"]["train"],
        "seconds": {**seconds, **plain["seconds"]},
        "spread": spread,
        "ratio_to_lbfgs": seconds["train"] / plain["seconds"]["plaintext_lbfgs"],
        "bytes": last["bytes"],
        "peak_mib": last["peak_mib"],
        "rounds": 4 * iterations + 3,
        "logloss": {"joint": last["logloss"]["joint"], "pooled": plain["logloss"]},
        "auc": {"joint": last["auc"]["joint"], "pooled": plain["auc"]},
    }


def _secure(
    folder: Path, datasets: dict[str, Any], plan: TrainPlan, repeat: int, shape: Shape | None, stock: PredealPlan | None
) -> list[dict[str, Any]]:
    parties = {name: {"t": dataset} for name, dataset in datasets.items()}
    with Lines(shape) if shape else nullcontext() as lines:
        via = {"via": lines.via} if lines else {}
        with Trial(folder / "trial", parties, {"scores_per_row": repeat + 1}, **via) as trial, trial.client() as client:
            runs = _jobs(client, plan, repeat, stock)
    return runs


def _jobs(client: Client, plan: TrainPlan, repeat: int, stock: PredealPlan | None) -> list[dict[str, Any]]:
    runs = []
    for _ in range(repeat):
        if stock is not None:
            start = time.monotonic()
            job = list(client.watch(client.submit(stock).id))[-1]
            if job.state != "succeeded":
                raise SystemExit(f"the stock: {job.fault.message}")
            print(f"dealt ahead in {time.monotonic() - start:.1f} s, {job.dealer.grid.sent / 1e6:.0f} MB to each party")
        start = time.monotonic()
        job = list(client.watch(client.submit(plan).id))[-1]
        if job.state != "succeeded":
            raise SystemExit(f"the job {job.state}: {job.fault.message}")
        runs.append(as_json(job, time.monotonic() - start, None))
    return runs


def _plaintext(plan: TrainPlan, datasets: dict[str, Any], repeat: int) -> dict[str, Any]:
    """Pooled lbfgs and a numpy SGD (5 epochs, batches of 1024) on the same standardised training rows."""
    tables = {
        p: read_table(DatasetConfig(**datasets[p.value]), name="t", party=p, require_label=p is Party.BANK) for p in Party
    }
    order = {p: _order(tables[p].table) for p in Party}
    bank = tables[Party.BANK].table.take(order[Party.BANK])
    test = split.draw(bank, plan.split)
    rows = np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)])
    train = int((~test).sum())
    ridge, total = plan.model.ridge, len(rows)
    parts = [
        prepare(tables[p].table.take(order[p][rows]), tables[p].columns, plan.preparation, train, ridge, p)[0].matrix(0, total)
        for p in Party
    ]
    x, y = np.ascontiguousarray(np.column_stack([parts[0], parts[1][:, :-1]])), np.asarray(bank.label)[rows]
    lbfgs, sgd = [], []
    for _ in range(repeat):
        start = time.monotonic()
        model = LogisticRegression(C=1.0 / (train * plan.model.ridge)).fit(x[:train], y[:train])
        lbfgs.append(time.monotonic() - start)
        start = time.monotonic()
        _sgd(x[:train], y[:train])
        sgd.append(time.monotonic() - start)
    found = evaluate(y[train:], model.decision_function(x[train:]))
    return {
        "seconds": {"plaintext_lbfgs": statistics.median(lbfgs), "plaintext_sgd": statistics.median(sgd)},
        "logloss": found.logloss,
        "auc": found.auc,
    }


def _order(table: FeatureTable) -> np.ndarray:
    """Rows by id, then month."""
    levels = np.array(table.ids.levels.to_pylist())
    rank = np.empty(len(levels), np.int64)
    rank[np.argsort(levels)] = np.arange(len(levels))
    return np.lexsort((np.asarray(table.periods), rank[table.ids.codes]))


def _sgd(x: np.ndarray, y: np.ndarray, epochs: int = 5, batch: int = 1024, rate: float = 0.1) -> np.ndarray:
    weights = np.zeros(x.shape[1] + 1)
    for _ in range(epochs):
        for low in range(0, len(y), batch):
            rows = x[low : low + batch]
            residual = 1.0 / (1.0 + np.exp(-(rows @ weights[1:] + weights[0]))) - y[low : low + batch]
            weights[1:] -= rate * (rows.T @ residual) / len(rows)
            weights[0] -= rate * residual.mean()
    return weights
