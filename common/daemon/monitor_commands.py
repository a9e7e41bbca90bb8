"""`wattscore models`, `promote`, `rollback` and `monitor`: models in production."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from bank_party.monitor.history import read_history
from common.client.client import Client, as_dict, failure
from common.client.show import follow, print_job
from common.config import validate
from common.disk.files import write_private
from common.errors import PlanError
from common.home.registry import Registry
from common.monitor.book import Book
from common.monitor.config import MonitorConfig
from common.monitor.history import History
from common.monitor.page import make_page
from common.monitor.reference import SCORE
from common.plan.promote import PromotePlan
from common.plan.read import load_plan
from common.process.settings import PartySettings, load_settings
from common.wire import coordinator_pb2 as wire

ALARM = 3  # exit code
_party = click.option(
    "--config", type=click.Path(path_type=Path), required=True, help="This party's configuration: grid.toml or bank.toml."
)
_client = click.option(
    "--config", type=click.Path(path_type=Path), default=Path("client.toml"), show_default=True, envvar="WATTSCORE_CONFIG",
    help="Client configuration.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@click.command()
@_party
@_json
def models(config: Path, as_json: bool) -> None:
    """List the models of one party, at that party: version, stage, and how the champion changed."""
    registry = Registry(load_settings(PartySettings, config).data / "registry.sqlite")
    versions, moves = registry.versions(), registry.moves()
    if as_json:
        shown = [{**asdict(version), "stage": version.stage.value} for version in versions]
        click.echo(
            json.dumps({"models": shown, "moves": [{**asdict(m), "position": m.position.hex()} for m in moves]}, indent=1)
        )
        return
    console, table = Console(), Table("version", Column("job", no_wrap=True), "stage", "trained", "SHA-256", box=None)
    for v in versions:
        table.add_row(str(v.number), v.job, v.stage.value, _when(v.at), v.digest[:16])
    console.print(table)
    for m in moves:
        console.print(f"{_when(m.at)}  {m.action}: {m.champion}  ({m.job})", highlight=False)


@click.command()
@click.argument("job")
@click.option("--force", is_flag=True, help="Also if it is significantly worse than the champion.")
@click.option("--anew", is_flag=True, help="Where the parties' histories differ, begin a new one.")
@_client
@_json
def promote(job: str, force: bool, anew: bool, config: Path, as_json: bool) -> None:
    """Make the model of training JOB the champion at both parties, unless it is worse than the one before."""
    plan = validate(PromotePlan, {"model": job, "force": force, "anew": anew}, "options", PlanError)
    _move(plan, config, as_json)


@click.command()
@_client
@_json
def rollback(config: Path, as_json: bool) -> None:
    """Make the champion before the present one the champion again, at both parties."""
    _move(PromotePlan(action="rollback"), config, as_json)


def _move(plan: PromotePlan, config: Path, as_json: bool) -> None:
    with Client.from_config(config) as client:
        updates = client.watch(client.submit(plan).id)
        job = list(updates)[-1] if as_json else follow(updates, Console(stderr=True))
    if as_json:
        click.echo(json.dumps(as_dict(job), indent=1))
    else:
        print_job(job, Console())
    if failure(job) is not None:
        sys.exit(1)


@click.command()
@_party
@click.option("--out", type=click.Path(path_type=Path), help="Write the history to this HTML page.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the page.")
@click.option("--retrain", type=click.Path(path_type=Path), help="Submit this training plan if there is a new alarm.")
@click.option("--client", "client_config", type=click.Path(path_type=Path), help="Client configuration, for --retrain.")
@_json
def monitor(config: Path, out: Path | None, lang: str, retrain: Path | None, client_config: Path | None, as_json: bool) -> None:
    """Show how what was scored has changed since training, at one party; exit code 3 if there is an alarm."""
    if retrain is not None and client_config is None:
        raise PlanError("--retrain needs --client", remedy="Name the client's configuration.")
    settings = load_settings(PartySettings, config)
    history = read_history(settings.data, settings.datasets, settings.monitor)
    if out is not None:
        write_page(history, settings.monitor, out, title=config.stem, lang=lang)
    job = None
    if retrain is not None and client_config is not None:
        job = _retrain(Book(settings.data / "monitor.sqlite"), history, retrain, client_config)
    if as_json:
        click.echo(json.dumps({**history.as_dict(), "retraining": job.id if job else None}, indent=1))
    else:
        _print(history, job, Console())
    if history.alarms:
        sys.exit(ALARM)


def write_page(history: History, config: MonitorConfig, out: Path, *, title: str, lang: str = "en") -> None:
    """The history as an HTML page, in the file `out`, mode 0600. lang: en or zh."""
    page = make_page(history, config, title=title, when=time.strftime("%Y-%m-%d %H:%M"), lang=lang)
    write_private(out, page.encode())


def _retrain(book: Book, history: History, plan: Path, config: Path) -> wire.Job | None:
    """Submits once for each alarm: one that led to a retraining does not lead to another."""
    new = {alarm.key for alarm in history.alarms} - book.answered()
    if not new:
        return None
    with Client.from_config(config) as client:
        job = client.submit(load_plan(plan))
    book.answer(new, job.id)
    return job


def _print(history: History, job: wire.Job | None, console: Console) -> None:
    months = sorted({reading.month for reading in history.readings})
    console.print(f"{len(months)} months scored, {len(history.matured)} with known outcomes", highlight=False)
    if history.alarms:
        table = Table("month", "alarm", "column", Column("value", justify="right"), Column("limit", justify="right"), "model")
        for a in history.alarms:
            name = "score" if a.feature == SCORE else a.feature
            table.add_row(a.month, a.what, f"[bold red]{escape(name)}[/]", f"{a.value:.3f}", f"{a.limit:.3f}", a.model)
        console.print(table)
    else:
        console.print("[green]no alarm[/]")
    if history.unread:
        console.print(f"[yellow]labels not read[/] of {escape(', '.join(history.unread))}: see the log", highlight=False)
    if job is not None:
        console.print(f"retraining: {job.id}", highlight=False)


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
