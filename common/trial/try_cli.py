"""`wattscore try`: your own two files, three real processes, one command."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.errors import ConfigError
from common.records.options import (
    STRICT,
    bank_key_option,
    bank_period_option,
    decimal_option,
    grid_key_option,
    grid_period_option,
    label_values_option,
    missing_option,
    period_option,
    strict_option,
)

if TYPE_CHECKING:
    from common.trial.forkserver import ForkServer
    from common.trial.run import TrialOptions

_FILE = click.Path(exists=True, path_type=Path)


@click.command("try")
@click.option(
    "--grid",
    type=_FILE,
    help="The grid's table (CSV, Parquet, Excel), or its declaration (TOML). Left out, three banks or more train alone.",
)
@click.option(
    "--bank",
    type=_FILE,
    required=True,
    multiple=True,
    help="The bank's table, with the label, or its declaration; again for each further bank, up to 8.",
)
@click.option("--key", help="The column of enterprise ids, in both.")
@grid_key_option
@bank_key_option
@click.option("--label", help="The bank's column of outcomes: 1, 0, or empty where not known yet.")
@label_values_option
@missing_option
@decimal_option
@period_option
@grid_period_option
@bank_period_option
@click.option("--test", default=0.3, show_default=True, help="Share of rows held out.")
@click.option("--seed", default=42, show_default=True, help="Of the split.")
@click.option(
    "--model",
    type=click.Choice(["linear", "trees", "network"]),
    default="linear",
    show_default=True,
    help="A line in the columns; boosted trees, which rank better and cost ten times as much; or a hidden layer.",
)
@click.option("--link", type=click.Choice(["fourier", "taylor"]), help="linear: exact logistic (fourier), or its expansion.")
@click.option("--link-period", type=int, help="linear: the link's period; 64 for wide margins (default 36.6, taylor 128).")
@click.option("--link-terms", type=int, help="linear: terms of the fourier link (default 5, or 9 with period 64).")
@click.option(
    "--coding",
    type=click.Choice(["linear", "auto", "bins", "woe"]),
    default="auto",
    show_default=True,
    help="What is made of a column: see the plans' page.",
)
@click.option("--ridge", type=float, help="linear: L2 penalty (default 1e-4).")
@click.option("--iterations", type=int, help="linear: training steps (default 12).")
@click.option("--trees", type=int, help="trees: how many (default 80).")
@click.option("--depth", type=int, help="trees: levels of each (default 3).")
@click.option("--hidden", type=int, help="network: hidden units (default 8).")
@click.option("--epochs", type=int, help="network: passes over the training rows (default 10).")
@click.option("--batch", type=int, help="network: rows of a step (default 1024; 0: all).")
@click.option("--decay", type=float, help="network: L2 penalty (default 0.003).")
@click.option("--early-stop", type=int, help="network: stop after so many epochs without gain on training rows held back.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the result here.")
@click.option("--compare", is_flag=True, help="For development: also fit scikit-learn on the pooled tables.")
@click.option("--allow-small", is_flag=True, help="Lower the minimum sizes, openly, for trials on tiny tables.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the bank's report, an HTML page, here.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep configurations, logs and models in this new folder.")
@strict_option
def try_(**given: Any) -> None:
    """Train on your own two files, or several banks': throw-away certificates, real daemons on this machine, a real client."""
    from common.trial.forkserver import fork_server

    with fork_server() as forks:  # which imports while the files are looked at
        run_options(options_of(**given), forks)


def options_of(
    grid: Path | None,
    bank: Path | Sequence[Path],
    key: str | None = None,
    grid_key: str | None = None,
    bank_key: str | None = None,
    period: str | None = None,
    grid_period: str | None = None,
    bank_period: str | None = None,
    label: str | None = None,
    label_values: str | Mapping[str, int] | None = None,
    missing: str | Sequence[str] | None = None,
    decimal: str | None = None,
    **given: Any,
) -> TrialOptions:
    """The options of the command, once the grid's file and each bank's are known to go together. Raises what is wrong.

    bank: a file, or of several banks each one's. grid: None where these train alone.
    """
    from common.rows.featurefile import declared
    from common.trial.given import Names, datasets, raw_of
    from common.trial.heads import LEAST, SMALL, check_alone, check_files

    names = Names(key, grid_key, bank_key, period, grid_period, bank_period, label, label_values, missing, decimal)
    first, *more = [bank] if isinstance(bank, Path) else bank
    if grid is None and len(more) < 2:
        message = "no --grid, and banks train alone from three on: of two each would learn the other's sums"
        raise ConfigError(message, remedy="Give --grid, or --bank three times or more.")
    paths = ({"grid": grid} if grid else {}) | {"bank": first} | {f"bank-{k}": path for k, path in enumerate(more, 2)}
    found, options = datasets(raw_of(paths, names), paths, names)
    least = SMALL if given["allow_small"] else LEAST
    for name in [name for name in paths if name != "grid"]:
        if declared(found[name]).label is None:
            raise ConfigError(f"{paths[name]}: nothing names the column of outcomes", remedy="Give --label.")
        here = {role.replace(name, "bank"): option for role, option in options.items() if role.split(".")[0] in ("grid", name)}
        if grid is None:
            check_alone(found[name], here, least)
        else:
            check_files({"grid": found["grid"], "bank": found[name]}, here, least, several=bool(more))
    from common.trial.run import TrialOptions  # what this takes is loaded once the files are known to go together

    return TrialOptions(datasets=found, by_period=declared(found["bank"]).period is not None, **given)


def run_options(options: TrialOptions, forks: ForkServer | None) -> None:
    """Trains and prints."""
    from rich.console import Console

    from common.trial.processes import end_in_order
    from common.trial.run import run_trial

    end_in_order()
    result = run_trial(options, Console(stderr=True), forks)
    if options.out:
        options.out.write_text(json.dumps(result.values, indent=1) + "\n", encoding="utf-8")
    _print_result(result, Console())
    if options.strict:
        from common.features.leaks import PUBLIC

        banks = result.job.banks or [result.job.bank]
        if any(text.startswith(PUBLIC) for bank in banks for text in bank.report.warnings):
            sys.exit(STRICT)


def _print_result(result: Any, console: Any) -> None:
    from common.client.show import print_banks, print_evaluation, print_opened
    from common.trial.result import print_costs

    print_opened(result.job, console)
    if result.job.banks:
        print_banks(result.job, console)
        print_costs(result.values, console)
        return
    auc = result.values["auc"]
    print_evaluation(result.job, console)
    if "pooled" in auc:
        figures = ", ".join(f"{name} {result.values[name]['pooled']:.4f}" for name in ("auc", "ks", "logloss"))
        console.print(f"pooled plaintext fit: {figures}", highlight=False)
    print_costs(result.values, console)
