"""`wattscore check`: two files as `try` would take them, looked at before anything starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from common.config import validate
from common.errors import DataError
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
from common.records.schema import Schema, schema
from common.records.schema_cli import print_schema, refuse
from common.rows.declare import DatasetConfig
from common.rows.featurefile import declared
from common.rows.tablefile import TableFile
from common.trial.given import Names, datasets, named, raw_of
from common.trial.heads import LEAST, Keys, candidates, check_columns, open_files, read_keys, with_option

_FILE = click.Path(exists=True, path_type=Path)
_MOST = 5  # columns of a side that are tried as keys


@click.command("check")
@click.argument("grid", type=_FILE)
@click.argument("bank", type=_FILE)
@click.option("--key", help="The column of enterprise ids, in both; without it, columns that could be are looked for.")
@grid_key_option
@bank_key_option
@click.option("--label", help="The bank's column of outcomes.")
@label_values_option
@missing_option
@decimal_option
@period_option
@grid_period_option
@bank_period_option
@strict_option
def check(grid: Path, bank: Path, strict: bool, **given: Any) -> None:
    """Look at two files before anything starts: types, dates, texts, keys and how they would match, what is too good.

    GRID and BANK are tables (CSV, Parquet, Excel), or declarations (TOML) as `wattscore schema --out` writes them.
    """
    console, paths, names = Console(), {"grid": grid, "bank": bank}, Names(**given)
    raw = raw_of(paths, names)
    if not named(raw):
        _without_key(paths, raw, console)
        return
    tables, options = datasets(raw, paths, names)
    files = open_files(tables, options)
    keys = read_keys(files, tables, [])
    faults: list[DataError] = []
    found = _look(paths, raw, console, faults)
    _print_keys(keys, console)
    try:
        check_columns(str(grid), list(found["grid"].columns))
    except DataError as error:
        console.print(f"[yellow]look at:[/] {escape(str(error))}", highlight=False)
    label = declared(tables["bank"]).label
    if label and label in files["grid"].header:
        console.print(f"[yellow]look at:[/] the grid's file has a column {escape(repr(label))} too, which would be trained on")
    refuse([with_option(error) for error in faults])
    if strict and any(one.suspicious for one in found.values()):
        sys.exit(STRICT)


def _look(
    paths: dict[str, Path], raw: dict[str, dict[str, Any]], console: Console, faults: list[DataError]
) -> dict[str, Schema]:
    """The schema of each side, printed. faults: takes what is wrong in single columns."""
    found = {}
    for side, entry in raw.items():
        found[side] = schema(entry, str(paths[side]), faults)
        console.print(f"[bold]{side}[/]: {escape(str(paths[side]))}", highlight=False)
        print_schema(found[side], console)
        console.print()
    return found


def _print_keys(keys: Keys, console: Console) -> None:
    console.print("[bold]keys[/]")
    for line in keys.said():
        console.print(escape(line), highlight=False)
    if keys.common < LEAST:
        console.print(f"[yellow]look at:[/] below {LEAST:,} common ids the default policies refuse to train", highlight=False)


def _without_key(paths: dict[str, Path], raw: dict[str, dict[str, Any]], console: Console) -> None:
    """Prints the columns of both, and which of them could be the keys."""
    faults: list[DataError] = []
    found = _look(paths, raw, console, faults)
    likely = {side: [c for c, kind, _ in one.lines if kind in ("id", "free text", "row number")] for side, one in found.items()}
    files = {side: _opened(side, entry, str(paths[side])) for side, entry in raw.items()}
    pairs = candidates(files, {side: names[:_MOST] for side, names in likely.items()})
    console.print("[bold]keys[/]")
    for common, own, other in pairs[:3]:
        options = f"--key {own}" if own == other else f"--grid-key {own} --bank-key {other}"
        console.print(escape(f"{common:,} ids are common by {options}"), highlight=False)
    if not pairs:
        console.print("no two columns share ids that hardly repeat: name the keys by --key, or --grid-key and --bank-key")
    refuse([with_option(error) for error in faults])


def _opened(side: str, entry: dict[str, Any], source: str) -> TableFile:
    """A file by the keys of its dataset, whose ids nothing names yet."""
    config = declared(validate(DatasetConfig, entry if "features" in entry else {"id": "-", **entry}, source))
    return TableFile.open(config.path, config, side)
