"""Alignment: which of N ids at each side the other holds too."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.mpc.cost import matching_by_tags
from common.plan.linear import Model
from common.plan.request import Matching, Side
from common.plan.train import Split, TrainPlan
from tests.bench import jobs
from tests.bench.line import Shape, measure
from tests.bench.peers import Spu
from tests.bench.plaintext import timed
from tests.bench.stage import outcome
from tests.bench.tables import write_tables

COMMON = 0.9  # of each side's ids
_OTHER = 2_000  # bytes of demands and acknowledgements


def bench_align(
    ids: int, repeat: int = 1, line: str | None = None, matching: Matching = "neutral", spu: Spu | None = None
) -> dict[str, Any]:
    """Seconds of the align stage of a training job over `ids` enterprises of one row; beside numpy's join of the same ids.

    Ends the benchmark when matching found other ids than the join, or when what a party sent the coordinator is 1 % off the
    formula of its tags. spu: SPU's matching of the same ids, afterwards.
    """
    side, shape = Side(dataset="t"), None if line is None else Shape.parse(line)
    model = Model(link="taylor", iterations=6)
    plan = TrainPlan(
        grid=side,
        bank=side,
        split=Split(test=0.3),
        model=model,
        limits=jobs.SMALL,
        preparation=jobs.AS_THEY_ARE,
        matching=matching,
    )
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        paths = write_tables(folder, ids, 4, 4, months=1, common=COMMON)
        datasets = {party: {"t": dataset} for party, dataset in jobs.declare(paths, period=False).items()}
        daemons, lines = jobs.start(folder, datasets, shape)
        runs = []
        with lines, daemons as trial, trial.client() as client:
            for _ in range(repeat):
                jobs.forget_scores(trial)
                runs.append(jobs.run(client, plan))
        grid, bank = (pd.read_parquet(path, columns=["id"])["id"].to_numpy(str) for path in paths.values())
        seconds, common = timed(lambda: np.intersect1d(grid, bank, assume_unique=True))
        result = outcome({"rows": ids, "matched": len(common)}, "align", runs, seconds)
        if spu is not None:
            result["spu"] = spu.matchings({"grid": grid, "bank": bank}, folder, result["seconds"]["align"])
    report = runs[-1][0].bank.report
    formula, sent = matching_by_tags(ids).tags, report.coordinator.sent
    if matching == "neutral" and abs(sent - formula) > 0.01 * formula + _OTHER:
        raise SystemExit(f"the coordinator was sent {sent} bytes, {formula} by the formula")
    found = report.counts.matched_ids
    if found != len(common):
        raise SystemExit(f"{found} ids were matched, {len(common)} are common")
    return result if shape is None else {**result, "line": {"asked": line, **measure(shape)}}
