"""`wattscore schema`: what the columns of a file are taken for, before anything is made of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from common.disk.files import write_private
from common.errors import ConfigError
from common.records.options import STRICT, decimal_option, parse_missing, strict_option
from common.records.schema import Schema, as_toml, dataset_of, schema
from common.text.visible import escape


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
    found = schema(dataset_of(file) | raw if file.suffix == ".toml" else {"path": file.absolute(), **raw}, str(file))
    _print(found, Console())
    if out is not None:
        if found.config is None:
            raise ConfigError("--out: the column of ids is not known", remedy="Name it by --key.")
        write_private(out, as_toml(found, name).encode())
    if strict and found.suspicious:
        sys.exit(STRICT)


def _print(found: Schema, console: Console) -> None:
    table = Table("column", "kind", "seen and done", box=None)
    for column, kind, said in found.lines:
        table.add_row(escape(column), kind, escape(said))
    console.print(table)
    for text in (*found.warnings, *found.suspicious):
        console.print(f"[yellow]look at:[/] {escape(text)}", highlight=False)
