"""`jobs`: what a party was asked for and by whom, accepted or why not, and how it ended; read in its own data folder."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from common.daemon.seat import Seat
from common.disk.data_folder import Name
from common.errors import JobNotFound
from common.home.jobbook import JobBook, Offered
from common.text.visible import visible

_config = click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="This party's configuration."
)


def jobs_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @click.argument("job", required=False)
    @_config
    @click.option("--last", type=click.IntRange(0), default=20, show_default=True, help="How many, the newest; 0 for all.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
    def jobs(job: str | None, config: Path, last: int, as_json: bool) -> None:
        """List the jobs this party was offered, refused ones too; all that is known here of one JOB."""
        found = JobBook(seat.load(config).data / Name.JOBS).jobs(0 if job else last, job or "")
        if job and not found:
            raise JobNotFound(f"no job {job!r} was offered here", remedy=f"`{seat.name} jobs` lists them.")
        if as_json:
            click.echo(json.dumps([asdict(one) for one in found], indent=1))
        elif job:
            _print_one(found[-1], Console())
        else:
            _print_all(found, Console())

    return jobs


def _print_all(found: list[Offered], console: Console) -> None:
    wide = max((len(one.job) for one in found), default=3)
    lines = [f"{'job':<{wide}}  state     offered           client, dataset"]
    for one in found:
        lines.append(f"{one.job:<{wide}}  {one.state:<8}  {_when(one.at)}  {_short(one.client)}, {one.dataset or '-'}")
        if one.cause:
            lines.append(f"  {one.cause}")
    for line in lines:
        console.print(Text(visible(line)), no_wrap=True, overflow="ellipsis", highlight=False)


def _print_one(one: Offered, console: Console) -> None:
    facts = {
        "job": one.job, "kind": one.kind, "name": one.name, "asked for by": one.client, "dataset": one.dataset,
        "plan (SHA-256)": one.plan, "grants": ", ".join(f"{name} {pin}" for name, pin in (one.grants or {}).items()),
        "offered": _when(one.at), "state": one.state,
        "ended": _when(one.ended) if one.ended else "", "why": one.cause,
        **{name.replace("_", " "): f"{count:,}" for name, count in (one.counts or {}).items()},
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            console.print(Text(visible(f"{name:<16}  {value}")), soft_wrap=True, highlight=False)


def _short(client: str) -> str:
    return client.removeprefix("wattscore://") or "-"  # a line of 80 characters has room for the rest


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
