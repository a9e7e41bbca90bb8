"""The benchmark's commands about boosted trees and networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click
import pandas as pd

from common.plan.network import Network
from common.plan.trees import Trees
from tests.bench import report
from tests.bench.forest import bench_forest
from tests.bench.network import bench_network
from tests.bench.options import CRYPTEN, JSON, LINE, PROFILED, REPEAT, SPU, XGBOOST, sizes, tell
from tests.bench.peers import Crypten, Spu, Xgboost
from tests.bench.perceptron import bench_perceptron
from tests.bench.starts import bench_starts
from tests.bench.tree_worlds import WORLDS
from tests.bench.trees import bench_trees, split_table, split_world


def _section(trees: int, depth: int, bins: int, rate: float, abreast: int | None, candidates: int = 32) -> Trees:
    said = {} if abreast is None else {"abreast": abreast}
    return Trees(kind="trees", trees=trees, depth=depth, bins=bins, candidates=candidates, rate=rate, **said)


@click.command()
@click.option("--uci", type=click.Path(exists=True, path_type=Path), help="UCI's credit card clients, as CSV.")
@click.option("--world", type=click.Choice(sorted(WORLDS)), help="In its place a world that is drawn, 40,000 rows held out.")
@click.option("--seeds", default=5, show_default=True, help="Splits to take means of.")
@click.option("--trees", "count", default=80, show_default=True)
@click.option("--depth", default=3, show_default=True)
@click.option("--bins", default=16, show_default=True)
@click.option("--candidates", default=32, show_default=True)
@click.option("--rate", default=0.25, show_default=True)
@click.option("--abreast", type=int, help="Default: as of a plan that does not say.")
@click.option("--rows", type=int, help="Training rows at most. Default: all that are not held out.")
@click.option("--draws", default=1, show_default=True, help="Of candidates: the twin's figures are means of as many.")
@XGBOOST
@JSON
def trees(
    uci: Path | None,
    world: str | None,
    seeds: int,
    count: int,
    depth: int,
    bins: int,
    candidates: int,
    rate: float,
    abreast: int | None,
    rows: int | None,
    draws: int,
    xgboost_python: str | None,
    out: Path | None,
) -> None:
    """Boosted trees on shares beside their float twin and scikit-learn's, all roles in this process."""
    if (uci is None) == (world is None):
        raise click.UsageError("give --uci or --world")
    section = _section(count, depth, bins, rate, abreast, candidates)
    if world is not None:
        splits = (split_world(world, seed, rows or 20_000, 40_000) for seed in range(seeds))
    else:
        table = pd.read_csv(uci)
        splits = (split_table(table, seed, rows) for seed in range(seeds))
    found = bench_trees(splits, section, Xgboost.find(xgboost_python), draws)
    tell(found, out, report.trees(found))


@click.command()
@click.option("--uci", type=click.Path(exists=True, path_type=Path), required=True, help="UCI's credit card clients, as CSV.")
@click.option("--seeds", default=6, show_default=True, help="Splits to take means of.")
@click.option("--units", default=8, show_default=True)
@click.option("--epochs", default=10, show_default=True)
@click.option("--activation", type=click.Choice(["sine", "relu"]), default="sine", show_default=True)
@click.option("--coding", type=click.Choice(["auto", "linear"]), default="auto", show_default=True)
@JSON
def network(
    uci: Path,
    seeds: int,
    units: int,
    epochs: int,
    activation: Literal["sine", "relu"],
    coding: Literal["auto", "linear"],
    out: Path | None,
) -> None:
    """A network on shares beside its float twin, ReLU with Adam, and a line, all roles in this process."""
    found = bench_network(uci, seeds, Network(hidden=units, epochs=epochs, activation=activation), coding)
    click.echo(json.dumps({name: found[name] for name in ("coding", "rows", "means", "training_off", "scoring_off")}, indent=1))
    tell(found, out)


@click.command()
@click.option("--uci", type=click.Path(exists=True, path_type=Path), required=True, help="UCI's credit card clients, as CSV.")
@click.option("--first", default=0, show_default=True, help="The first split's number.")
@click.option("--seeds", default=6, show_default=True, help="Splits to take means of.")
@click.option("--starts", type=click.IntRange(2), default=4, show_default=True, help="Starts of the weights.")
@click.option("--units", default=8, show_default=True)
@click.option("--epochs", default=10, show_default=True)
@click.option("--decay", default=3e-3, show_default=True)
@JSON
def starts(uci: Path, first: int, seeds: int, starts: int, units: int, epochs: int, decay: float, out: Path | None) -> None:
    """A network's float twin, from each start alone and averaged, beside a line and boosted trees, all in plaintext."""
    table = pd.read_csv(uci)
    splits = (split_table(table, seed) for seed in range(first, first + seeds))
    found = bench_starts(splits, Network(hidden=units, epochs=epochs, decay=decay), starts)
    click.echo(json.dumps(found, indent=1))
    tell(found, out)


@click.command()
@sizes
@click.option("--trees", "count", default=80, show_default=True)
@click.option("--depth", default=3, show_default=True)
@click.option("--bins", default=16, show_default=True)
@click.option("--abreast", type=int, help="Default: as of a plan that does not say.")
@LINE
@XGBOOST
@PROFILED
@JSON
def forest(
    rows: int, grid: int, bank: int, count: int, depth: int, bins: int, abreast: int | None, line: str | None,
    xgboost_python: str | None, profiled: bool, out: Path | None,
) -> None:  # fmt: skip
    """Boosted trees through the three daemons, beside XGBoost with as many trees of that depth."""
    section = _section(count, depth, bins, 0.25 if abreast is None or abreast <= 2 else 0.15, abreast)
    found = bench_forest(rows, grid, bank, section, line, Xgboost.find(xgboost_python), profiled=profiled)
    tables = [report.profile("Training stage", found["profile"])] if profiled else []
    tell(found, out, report.forest(found), *tables)


@click.command()
@sizes
@click.option("--units", default=8, show_default=True)
@click.option("--epochs", default=10, show_default=True)
@click.option("--activation", type=click.Choice(["sine", "relu"]), default="sine", show_default=True)
@REPEAT
@LINE
@SPU
@CRYPTEN
@PROFILED
@JSON
def perceptron(
    rows: int, grid: int, bank: int, units: int, epochs: int, activation: Literal["sine", "relu"], repeat: int,
    line: str | None, spu_python: str | None, crypten_python: str | None, profiled: bool, out: Path | None,
) -> None:  # fmt: skip
    """A network through the three daemons, beside SPU's and CrypTen's of as many units and epochs."""
    section = Network(hidden=units, epochs=epochs, activation=activation)
    peers = Spu.find(spu_python), Crypten.find(crypten_python)
    found = bench_perceptron(rows, grid, bank, section, repeat, line, peers=peers, profiled=profiled)
    tables = [report.profile("Training stage", found["profile"])] if profiled else []
    tell(found, out, report.perceptron(found), *tables)


COMMANDS = [trees, network, starts, forest, perceptron]
