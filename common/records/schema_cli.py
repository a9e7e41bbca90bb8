"""`wattscore schema`: what the columns of a file are taken for, before anything is made of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from common.disk.files import write_private
from common.errors import ConfigError, DataError
from common.records.options import STRICT, decimal_option, parse_missing, strict_option
from common.records.schema import Schema, as_toml, dataset_of, schema
from common.text.visible import escape

_SHOWN = 12  # columns that are wrong, each told


@click.command("schema")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", "id", help="The column of enterprise ids.")
@click.option("--period", help="The column of months.")
@click.option("--label", help="The bank's column of 0/1 outcomes.")
@click.option("--month-format", help="How months are written, where that is not certain.")
@click.option("--zone", help="The time zone in which instants are months.")
@click.option("--encoding", help="Of a CSV, where it is not told by its bytes.")
@click.option("--separator", help="Of a CSV, where it is no comma.")
@click.option("--skip-rows", type=int, help="Lines above the header.")
@click.option("--sheet", help="Of a workbook.")
@click.option("--missing", multiple=True, help="Further words that mean missing: --missing=-,N/A; may be given again.")
@decimal_option
@click.option("--out", "--toml", "out", type=click.Path(path_type=Path), help="Write the declaration of the dataset here.")
@click.option("--name", default="table", show_default=True, help="The dataset's name in it.")
@strict_option
def schema_(file: Path, out: Path | None, name: str, strict: bool, **given: Any) -> None:
    """Read all of FILE, and say of each column what it is, in one line.

    FILE is a CSV, Parquet or Excel file, a folder or pattern of such, or a dataset's declaration (TOML) as --out writes it.
    """
    given["missing"] = parse_missing(given["missing"])
    raw = {key: value for key, value in given.items() if value not in (None, [])}
    faults: list[DataError] = []
    declaration = dataset_of(file) | raw if file.suffix == ".toml" else {"path": file.absolute(), **raw}
    found = schema(declaration, str(file), faults)
    print_schema(found, Console())
    refuse(faults)
    if out is not None:
        if found.config is None:
            raise ConfigError("--out: the column of ids is not known", remedy="Name it by --key.")
        write_private(out, as_toml(found, name).encode())
    if strict and found.suspicious:
        sys.exit(STRICT)


def print_schema(found: Schema, console: Console) -> None:
    """A line a column, in yellow what to look at, then what else to look at."""
    table = Table("column", "kind", "seen and done", box=None, pad_edge=False)
    for column, kind, said in found.lines:
        table.add_row(escape(column), kind, escape(said), style="yellow" if column in found.loud else None)
    console.print(table)
    for text in found.notes:
        console.print(escape(text), highlight=False)
    for text in (*found.warnings, *found.suspicious):
        console.print(f"[yellow]look at:[/] {escape(text)}", highlight=False)


def refuse(faults: Sequence[DataError]) -> None:
    """Raises what is wrong in columns, each of them told, if anything is."""
    if not faults:
        return
    shown = [str(error) for error in faults[:_SHOWN]] + [f"and {len(faults) - _SHOWN} more"] * (len(faults) > _SHOWN)
    raise DataError("\n".join(shown), public="columns of a file cannot be read")
