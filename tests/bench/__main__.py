"""`python -m tests.bench`: a few minutes; `train`: one workload; `full`: all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.bench.train import bench_train

QUICK = [
    (30_000, 13, 10, 12, "fourier"),
    (30_000, 13, 10, 12, "taylor"),
    (200_000, 25, 25, 15, "fourier"),
    (100_000, 10, 10, 12, "fourier"),
]
FULL = [*QUICK, (1_000_000, 20, 20, 12, "fourier"), (1_000_000, 20, 20, 12, "taylor"), (100_000, 30, 300, 12, "fourier")]


@click.group(invoke_without_command=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench-out"), show_default=True)
@click.pass_context
def main(context: click.Context, out: Path) -> None:
    """Measure training through the three real daemons beside plaintext fits of the same rows."""
    if context.invoked_subcommand is None:
        _suite(QUICK, 5, out)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench-out"), show_default=True)
def full(out: Path) -> None:
    """The quick workloads and the large ones."""
    _suite(FULL, 5, out)


@main.command()
@click.option("--rows", type=int, required=True)
@click.option("--grid", type=int, required=True, help="The grid's columns.")
@click.option("--bank", type=int, required=True, help="The bank's columns.")
@click.option("--iterations", default=12, show_default=True)
@click.option("--link", type=click.Choice(["fourier", "taylor"]), default="fourier", show_default=True)
@click.option("--repeat", default=1, show_default=True, help="Jobs to take medians of.")
@click.option("--line", help="Put a line between the processes: 20mbit,20ms.")
@click.option("--predeal", is_flag=True, help="Deal ahead what training consumes.")
@click.option("--json", "out", type=click.Path(path_type=Path))
def train(
    rows: int, grid: int, bank: int, iterations: int, link: str, repeat: int, line: str | None, predeal: bool, out: Path | None
) -> None:
    """One workload."""
    result = bench_train(rows, grid, bank, iterations, link, repeat, line, predeal)
    _print([result])
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")


def _suite(workloads: list[tuple[int, int, int, int, str]], repeat: int, out: Path) -> None:
    results = []
    for rows, grid, bank, iterations, link in workloads:
        results.append(bench_train(rows, grid, bank, iterations, link, repeat))
        _print(results[-1:])
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    _print(results)


def _print(results: list[dict[str, Any]]) -> None:
    table = Table(
        "rows",
        "columns",
        "link",
        "train s",
        "spread",
        "lbfgs s",
        "ratio",
        "MB peer",
        "MB dealt",
        "peak MiB",
        "log-loss",
        "pooled",
        box=None,
    )
    for r in results:
        low, high = r["spread"]["train"]
        links = {name: sum(ways.values()) / 1e6 for name, ways in r["bytes"].items()}
        table.add_row(
            f"{r['rows']:,}", f"{r['grid']}+{r['bank']}", r["link"], f"{r['seconds']['train']:.2f}", f"{low:.2f}-{high:.2f}",
            f"{r['seconds']['plaintext_lbfgs']:.2f}", f"{r['ratio_to_lbfgs']:.1f}", f"{links['grid_bank']:.0f}",
            f"{links['coordinator_grid'] + links['coordinator_bank']:.0f}", f"{max(r['peak_mib'].values()):.0f}",
            f"{r['logloss']['joint']:.5f}", f"{r['logloss']['pooled']:.5f}",
        )  # fmt: skip
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
