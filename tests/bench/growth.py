"""How time and bytes grow with rows and with columns: one size at a time, and what a law fixed + c size^slope makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from tests.bench.machine import memory
from tests.bench.report import megabytes
from tests.bench.train import Workload, bench_train

COLUMNS, ROWS = 20, 100_000  # of the series in which the other varies
ROW_SIZES, ROW_SIZES_FULL = (10_000, 30_000, 100_000, 300_000, 1_000_000), (10_000_000,)
COLUMN_SIZES = (10, 30, 100, 300)
_BYTES_A_CELL = 60  # of the three processes, then of the plaintext fit, which is larger


def bench_growth(rows: Sequence[int], columns: Sequence[int], repeat: int, fixed_rows: int = ROWS) -> dict[str, Any]:
    """Both series: sizes, results, and the fit of seconds of the training stage and of bytes on all links."""
    return {
        "rows": _series([Workload(n, COLUMNS // 2, COLUMNS // 2) for n in rows], rows, repeat),
        "columns": _series([Workload(fixed_rows, m // 2, m - m // 2) for m in columns], columns, repeat),
    }


def _series(works: list[Workload], sizes: Sequence[int], repeat: int) -> dict[str, Any]:
    fitting = [(size, work) for size, work in zip(sizes, works, strict=True) if _fits(work)]
    results = [bench_train(work, repeat if work.rows <= 1_000_000 else 1) for _, work in fitting]
    kept = [size for size, _ in fitting]
    seconds, sent = [r["seconds"]["train"] for r in results], [1e6 * sum(megabytes(r).values()) for r in results]
    return {
        "sizes": kept,
        "seconds": seconds,
        "bytes": sent,
        "lbfgs": [r["seconds"]["plaintext_lbfgs"] for r in results],
        "sgd": [r["seconds"]["plaintext_sgd"] for r in results],
        "fit": {"seconds": fit(kept, seconds), "bytes": fit(kept, sent)},
        "results": results,
    }


def _fits(work: Workload) -> bool:
    need, free = work.rows * (work.grid + work.bank) * _BYTES_A_CELL, memory()
    if need > free:
        print(f"left out: {work.rows:,} rows need about {need / 2**30:.0f} GiB, {free / 2**30:.0f} are free", flush=True)
    return need <= free


def fit(sizes: Sequence[int], values: Sequence[float]) -> dict[str, float]:
    """The law value = fixed + c size^slope, fixed not negative, of the least squares of relative errors."""
    n, v = np.asarray(sizes, np.float64), np.asarray(values, np.float64)
    if len(n) < 3:
        raise ValueError("a law of three numbers needs three sizes")
    middle = np.exp(np.log(n).mean())

    def wrong(law: np.ndarray) -> np.ndarray:
        return law_of(n, law[0], np.exp(law[1]) / middle ** law[2], law[2]) / v - 1.0

    starts = [np.array([share * v.min(), np.log(np.median(v)), 1.0]) for share in (0.01, 0.5, 0.9)]
    bounds = ([0.0, -np.inf, 0.1], [v.min(), np.inf, 3.0])
    best = min(
        (least_squares(wrong, start, bounds=bounds, x_scale=[v.min(), 1.0, 1.0]) for start in starts), key=lambda s: s.cost
    )
    fixed, log_c, slope = best.x
    return {"fixed": float(fixed), "per_unit": float(np.exp(log_c) / middle**slope), "slope": float(slope)}


def law_of(n: np.ndarray, fixed: float, per_unit: float, slope: float) -> np.ndarray:
    return fixed + per_unit * n**slope
