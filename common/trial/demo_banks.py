"""`wattscore demo-banks`: the demo's synthetic world, its bank's enterprises shared out to three banks of different rates."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from common.trial.forkserver import ForkServer

SHARE, SHARE_NEW = "share", "share-new"  # a bank's part of the history, and of the newest month


@click.command("demo-banks")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-banks-out"), show_default=True, help="A new folder.")
@click.option("--enterprises", default=4000, show_default=True, help="Size of the synthetic world.")
@click.option("--seed", default=7, show_default=True, help="Of the synthetic world.")
@click.option(
    "--through",
    type=click.Path(path_type=Path),
    envvar="WATTSCORE_DEMO_THROUGH",
    help="Start nothing: train and score through the daemons of `setup-demo` by this client configuration.",
)
def demo_banks(out: Path, enterprises: int, seed: int, through: Path | None) -> None:
    """A SYNTHETIC world of one grid and three banks of different overdue rates, and one model of all of them.

    All processes are real and on this machine; OUT gets the tables, each bank's report and result.json.
    """
    from common.errors import ConfigError
    from common.trial.forkserver import fork_server

    if through is not None:
        _through(through, out)
        return

    if out.exists():
        raise ConfigError(f"{out}: exists already", remedy="Name a new folder for --out, or remove it.")
    out.mkdir(parents=True)
    click.echo("a synthetic world: dirty monthly records of a grid and of three banks, made into features", err=True)
    grid, banks = _tables(out, enterprises, seed)
    command = [f"--grid {grid}", *(f"--bank {bank}" for bank in banks)]
    names = f"--key {ID} --label {LABEL} --period {MONTH}"
    click.echo(f"as by `wattscore try {' '.join(command)} {names}`", err=True)
    options: dict[str, Any] = {"key": ID, "grid_key": None, "bank_key": None, "label": LABEL, "label_values": None}
    with fork_server() as forks:
        _train({"grid": grid, "bank": banks, "period": MONTH, **options}, out, forks)
    click.echo(f"everything is in {out}: reports, tables, result.json. The world is made up, and says nothing of real data.")


ID, MONTH, LABEL = "enterprise_id", "month", "overdue_next_month"


def _tables(out: Path, enterprises: int, seed: int) -> tuple[Path, list[Path]]:
    """The grid's features and each bank's as files; numbers alone, as several banks' columns are."""
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
    files = []
    for k, mine in enumerate(enterprises_of_each(bank, seed), 1):
        files.append(out / f"bank-{k}.parquet")
        part = share_of(bank, mine)
        part.to_parquet(files[-1], index=False)
        rate = part[LABEL].mean()
        click.echo(f"  {files[-1].name}: {len(mine)} enterprises, {rate:.1%} of months overdue", err=True)
    grid = out / "grid.parquet"
    tables[Party.GRID].to_parquet(grid, index=False)
    return grid, files


def enterprises_of_each(history: pd.DataFrame, seed: int) -> list[pd.Index]:
    """The enterprises of three banks of different overdue rates, one in twenty at two of them. history: the one bank's."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    ever = history.groupby(ID)[LABEL].mean().sort_values(kind="stable")
    draw = pd.Series(rng.random(len(ever)), index=ever.index) + np.linspace(0.0, 0.6, len(ever))
    part = pd.Series(np.searchsorted(np.quantile(draw, [1 / 3, 2 / 3]), draw), index=ever.index)
    also = pd.Series(rng.random(len(ever)) < 0.05, index=ever.index)
    return [ever.index[(part == k) | (also & (part == (k + 1) % 3))] for k in range(3)]


def share_of(table: pd.DataFrame, enterprises: pd.Index) -> pd.DataFrame:
    """The rows of these enterprises, and of the columns the keys and the numbers: several banks' columns are numbers."""
    import pandas as pd

    names = [c for c in table.columns if c in (ID, MONTH) or pd.api.types.is_numeric_dtype(table[c])]
    return table.loc[table[ID].isin(enterprises), names]


def plans(banks: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The training of these banks, by identity, and each bank's scoring of the newest month but for the model; as mappings."""
    from common.trial.demo import HISTORY, NEW

    keys = ["id", "period"]
    train: dict[str, Any] = {"name": "three banks", "keys": keys, "grid": {"dataset": HISTORY}}
    train["banks"] = [{"who": who, "dataset": SHARE} for who in banks]
    sides = {"grid": {"dataset": NEW}, "bank": {"dataset": SHARE_NEW}}
    return train, [{"name": "decisions", "keys": keys, "with_bank": who, **sides} for who in banks]


def _through(config: Path, out: Path) -> None:
    """Trains and scores through the daemons of `setup-demo`, whose banks leave their reports by `collect-demo`."""
    import json

    from rich.console import Console

    from common.client.client import Client
    from common.client.show import print_banks
    from common.plan.score import ScorePlan
    from common.plan.several import SeveralPlan
    from common.trial.processes import BANK, more_bank
    from common.trial.remote import await_coordinator, check_folder, run_through
    from common.trial.result import banks_as_json, parties

    start, progress = time.monotonic(), Console(stderr=True)
    check_folder(out)
    (result := out / "result.json").unlink(missing_ok=True)
    train, scorings = plans([str(who) for who in (BANK, more_bank("bank-2"), more_bank("bank-3"))])
    with Client.from_config(config) as client:
        await_coordinator(client)
        trained = run_through(client, SeveralPlan.model_validate(train), progress)
        for scoring in scorings:
            run_through(client, ScorePlan.model_validate({**scoring, "model": trained.id}), progress)
    print_banks(trained, Console())
    warned = {name: list(told.report.warnings) for name, told in parties(trained).items()}  # as others hear them
    values = banks_as_json(trained, time.monotonic() - start, warned)
    result.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{result} is written. Reports and decisions are the banks': `collect-demo` at each. The world is made up.")


def _train(given: dict[str, Any], out: Path, forks: ForkServer | None) -> None:
    from common.trial.try_cli import options_of, run_options
    from common.trial.try_cli import try_ as command

    needed = [word for name in ("grid", "label") for word in (f"--{name}", str(given[name]))]
    known = command.make_context("try", [*needed, "--bank", str(given["bank"][0])]).params
    run_options(options_of(**{**known, **given, "report": out / "report.html", "out": out / "result.json"}), forks)
