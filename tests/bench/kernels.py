"""Products of ring words by numpy and by numba: `python kernels.py [--rows N] [--json OUT]` in a Python that has numba.

Nothing of the project is imported, and numba is none of its dependencies: this is how the choice between the two is measured.
A matrix stands column-major as in `mpc.product`: uint64 as masked columns are, int16 and int32 as quantised own columns could
be, widened on the fly. Sums wrap modulo 2^64.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

numba: Any = importlib.import_module("numba") if importlib.util.find_spec("numba") else None
prange: Any = numba.prange if numba else range
_BLOCK = 4096  # rows whose partial sums stay in the first cache


def forward(matrix: Any, vector: Any) -> Any:
    """matrix @ vector; matrix is given transposed, (columns, rows)."""
    columns, rows = matrix.shape
    out = np.zeros(rows, np.uint64)
    for block in prange((rows + _BLOCK - 1) // _BLOCK):
        low, high = block * _BLOCK, min(rows, (block + 1) * _BLOCK)
        for j in range(columns):
            weight = vector[j]
            for i in range(low, high):
                out[i] += np.uint64(np.int64(matrix[j, i])) * weight
    return out


def backward(matrix: Any, vector: Any) -> Any:
    """matrix.T @ vector, the matrix given as above: columns are shared out."""
    columns, rows = matrix.shape
    out = np.zeros(columns, np.uint64)
    for j in prange(columns):
        total = np.uint64(0)
        for i in range(rows):
            total += np.uint64(np.int64(matrix[j, i])) * vector[i]
        out[j] = total
    return out


def careful(matrix: Any, vector: Any) -> Any:
    """matrix @ vector by numpy, column by column over rows that fit the cache; the matrix given as above, of uint64."""
    out, part = np.zeros(matrix.shape[1], np.uint64), np.empty(4 * _BLOCK, np.uint64)
    for low in range(0, matrix.shape[1], len(part)):
        rows = matrix[:, low : low + len(part)]
        total, product = out[low : low + len(part)], part[: rows.shape[1]]
        for column, weight in zip(rows, vector, strict=True):
            np.multiply(column, weight, out=product)
            total += product
    return out


def seconds(work: Callable[[], Any], spans: int, repeat: int = 15) -> float:
    """Median of `repeat` runs over as many spans as a large job has, for one span; the first is for compiling."""
    work()
    runs = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(spans):
            work()
        runs.append((time.perf_counter() - start) / spans)
    return statistics.median(runs)


def compare(rows: int, columns: int, threads: int) -> list[dict[str, Any]]:
    """Milliseconds of a span by numpy (uint64, one thread, as the project does) and by numba on each kind of matrix."""
    rng = np.random.default_rng(0)
    small = rng.integers(-(1 << 15), 1 << 15, (columns, rows))
    kinds = {"uint64": rng.integers(0, 1 << 64, (columns, rows), np.uint64), "int32": small.astype(np.int32)}
    kinds["int16"] = small.astype(np.int16)
    point, hidden = (rng.integers(0, 1 << 64, n, np.uint64) for n in (columns, rows))
    numba.set_num_threads(threads)
    compiled = [numba.njit(parallel=True, cache=True, nogil=True)(kernel) for kernel in (forward, backward)]
    found = []
    for kind, matrix in kinds.items():
        wide = matrix if kind == "uint64" else matrix.astype(np.int64).view(np.uint64)
        about = {"rows": rows, "columns": columns, "threads": threads, "matrix": kind}
        ways = [partial(np.matmul, wide.T, point), partial(careful, wide, point), partial(compiled[0], matrix, point)]
        found.append({**about, "product": "forward", **_timed(ways)})
        found.append(
            {**about, "product": "backward", **_timed([partial(np.matmul, wide, hidden), partial(compiled[1], matrix, hidden)])}
        )
    return found


def _timed(ways: Sequence[Callable[[], Any]]) -> dict[str, Any]:
    """The project's numpy, numba last, and between them the careful numpy if there is one; all must agree."""
    first = ways[0]()
    if not all(np.array_equal(first, way()) for way in ways):
        raise SystemExit("the kernels do not agree")
    ms = [1e3 * seconds(way, 4) for way in ways]
    return {"numpy_ms": ms[0], "careful_ms": ms[1] if len(ms) == 3 else None, "numba_ms": ms[-1], "gain": ms[0] / ms[-1]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=65_536, help="of a span")
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    if numba is None:
        raise SystemExit(
            "this Python has no numba: make an environment for it, python3 -m venv numba && numba/bin/pip install numba"
        )
    found = [r for columns in (20, 40) for threads in (1, 2) for r in compare(asked.rows, columns, threads)]
    print("| columns | threads | product | matrix | numpy ms | by column, ms | numba ms | numpy / numba |")
    print("|---" * 8 + "|")
    for r in found:
        by_column = "" if r["careful_ms"] is None else f"{r['careful_ms']:.2f}"
        about = f"{r['columns']} | {r['threads']} | {r['product']} | {r['matrix']}"
        print(f"| {about} | {r['numpy_ms']:.2f} | {by_column} | {r['numba_ms']:.2f} | {r['gain']:.1f} |")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
