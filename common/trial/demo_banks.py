"""`wattscore demo-banks`: the demo's synthetic world, its bank's enterprises shared out to three banks of different rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("demo-banks")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-banks-out"), show_default=True, help="A new folder.")
@click.option("--enterprises", default=4000, show_default=True, help="Size of the synthetic world.")
@click.option("--seed", default=7, show_default=True, help="Of the synthetic world.")
def demo_banks(out: Path, enterprises: int, seed: int) -> None:
    """A SYNTHETIC world of one grid and three banks of different overdue rates, and one model of all of them.

    All processes are real and on this machine; OUT gets the tables, each bank's report and result.json.
    """
    from common.errors import ConfigError

    if out.exists():
        raise ConfigError(f"{out}: exists already", remedy="Name a new folder for --out, or remove it.")
    out.mkdir(parents=True)
    click.echo("a synthetic world: dirty monthly records of a grid and of three banks, made into features", err=True)
    grid, banks = _tables(out, enterprises, seed)
    command = [f"--grid {grid}", *(f"--bank {bank}" for bank in banks)]
    names = f"--key {ID} --label {LABEL} --period {MONTH}"
    click.echo(f"as by `wattscore try {' '.join(command)} {names}`", err=True)
    options: dict[str, Any] = {"key": ID, "grid_key": None, "bank_key": None, "label": LABEL, "label_values": None}
    _train({"grid": grid, "bank": banks, "period": MONTH, **options}, out)
    click.echo(f"everything is in {out}: reports, tables, result.json. The world is made up, and says nothing of real data.")


ID, MONTH, LABEL = "enterprise_id", "month", "overdue_next_month"


def _tables(out: Path, enterprises: int, seed: int) -> tuple[Path, list[Path]]:
    """The grid's features and each bank's as files; numbers alone, as several banks' columns are."""
    import numpy as np
    import pandas as pd

    from common.party import Party
    from common.trial.demo import HISTORY, build_side, lay_out

    homes = {party: out / f"records-{party.value}" for party in Party}
    for home in homes.values():
        home.mkdir()
    lay_out(homes, enterprises, seed)
    tables = {}
    for party, home in homes.items():
        build_side(party, home)
        tables[party] = pd.read_parquet(home / f"{HISTORY}.parquet")
    bank = tables[Party.BANK]
    numbers = [c for c in bank.columns if c in (ID, MONTH) or pd.api.types.is_numeric_dtype(bank[c])]
    bank = bank[numbers]
    rng = np.random.default_rng(seed)
    ever = bank.groupby(ID)[LABEL].mean().sort_values(kind="stable")
    draw = pd.Series(rng.random(len(ever)), index=ever.index) + np.linspace(0.0, 0.6, len(ever))  # rates differ by bank
    part = pd.Series(np.searchsorted(np.quantile(draw, [1 / 3, 2 / 3]), draw), index=ever.index)
    also = pd.Series(rng.random(len(ever)) < 0.05, index=ever.index)  # an enterprise in twenty is the next bank's too
    files = []
    for k in range(3):
        mine = bank[ID].map((part == k) | (also & (part == (k + 1) % 3)))
        files.append(out / f"bank-{k + 1}.parquet")
        bank[mine].to_parquet(files[-1], index=False)
        rate = bank.loc[mine, LABEL].mean()
        click.echo(f"  {files[-1].name}: {bank.loc[mine, ID].nunique()} enterprises, {rate:.1%} of months overdue", err=True)
    grid = out / "grid.parquet"
    tables[Party.GRID].to_parquet(grid, index=False)
    return grid, files


def _train(given: dict[str, Any], out: Path) -> None:
    from common.trial.try_cli import options_of, run_options
    from common.trial.try_cli import try_ as command

    needed = [word for name in ("grid", "label") for word in (f"--{name}", str(given[name]))]
    known = command.make_context("try", [*needed, "--bank", str(given["bank"][0])]).params
    run_options(options_of(**{**known, **given, "report": out / "report.html", "out": out / "result.json"}))
