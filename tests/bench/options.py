"""What commands of the benchmark take alike, and how they tell what they found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tests.bench import report
from tests.bench.machine import machine
from tests.bench.peers import Crypten, Peer, Spu, Xgboost

JSON = click.option("--json", "out", type=click.Path(path_type=Path), help="Write the result here.")
REPEAT = click.option("--repeat", default=1, show_default=True, help="Jobs to take medians of.")
LINE = click.option("--line", help="Put a line between the processes: 20mbit,20ms.")


def _python(peer: type[Peer]) -> Any:
    text = f"A Python that has the package {peer.package}, to run it on the same rows. Default: ${peer.variable}."
    return click.option(f"--{peer.package}-python", help=text)


XGBOOST, SPU, CRYPTEN = _python(Xgboost), _python(Spu), _python(Crypten)
OUT = click.option("--out", type=click.Path(path_type=Path), default=Path("bench-out"), show_default=True, help="A folder.")
PROFILED = click.option("--profile", "profiled", is_flag=True, help="Also where the stage's time goes. It costs a little.")


def sizes(command: Any) -> Any:
    for option in (
        click.option("--bank", type=int, required=True, help="The bank's columns."),
        click.option("--grid", type=int, required=True, help="The grid's columns."),
        click.option("--rows", type=int, required=True),
    ):
        command = option(command)
    return command


def tell(found: dict[str, Any], out: Path | None, *tables: report.Text | None) -> None:
    for table in tables:
        if table is not None:
            table.show()
    if out:
        out.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
