"""A network through the three real daemons, and SPU's and CrypTen's on the same rows in the same run."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from common.plan.network import Network
from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from tests.bench import jobs, plaintext
from tests.bench.learner import measured
from tests.bench.peers import Crypten, Spu
from tests.bench.tables import HELD_OUT, write_tables


def bench_perceptron(
    rows: int, grid: int, bank: int, section: Network, repeat: int = 1, line: str | None = None, *,
    peers: tuple[Spu | Crypten | None, ...] = (), profiled: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Of the last of some jobs what `measured` says, the training stages of all, and each peer's training of such a network.

    Peers have as many units, of ReLU, epochs and rows a step; of ratios the median job is the unit.
    """
    side = Side(dataset="t")
    shared: dict[str, Any] = {"grid": side, "bank": side, "keys": ("id", "period"), "split": Split(test=HELD_OUT)}
    plan = TrainPlan(**shared, model=section, limits=jobs.SMALL, preparation=jobs.AS_THEY_ARE)
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        datasets = jobs.declare(write_tables(folder, round(rows / (1.0 - HELD_OUT)), grid, bank))
        runs = [measured(folder / str(turn), datasets, plan, line, profiled=profiled) for turn in range(repeat)]
        stages = [run["seconds"]["train"] for run in runs]
        pooled = plaintext.pool(plan.model_copy(update={"model": TrainPlan(**shared).model}), datasets)
        trained = [p.networks(pooled, section, folder, statistics.median(stages)) for p in peers if p is not None]
        return {"grid": grid, "bank": bank, **runs[-1], "stages": stages, "peers": [one for found in trained for one in found]}
