"""`models`, `monitor`, `report`, `verify`: what a party reads in its own data folder, without a daemon."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from common.client.client import Client
from common.daemon.seat import S, Seat
from common.disk.data_folder import Name
from common.disk.files import make_folder, write_private
from common.disk.pages import beside, linked
from common.errors import ConfigError, PlanError
from common.home.jobbook import JobBook, Offered
from common.home.registry import Registry
from common.monitor.book import Book
from common.monitor.history import History
from common.monitor.hook import tell
from common.monitor.reference import SCORE
from common.plan.read import load_plan
from common.plan.several import ALONE
from common.text.visible import counted, escape, visible
from common.text.words import LANGS, Lang
from common.wire import coordinator_pb2 as wire

if TYPE_CHECKING:
    from common.report.page import Report
    from common.report.texts import Choice

ALARM = 3  # exit code
_config = click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="This party's configuration."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


def models_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @_config
    @_json
    def models(config: Path, as_json: bool) -> None:
        """List this party's models: version, stage, and how the champion changed."""
        data = seat.load(config).data
        asked = {one.job: one for one in JobBook(data / Name.JOBS).jobs()}
        _print_models(Registry(data / Name.REGISTRY), asked, as_json)

    return models


def _print_models(registry: Registry, asked: Mapping[str, Offered], as_json: bool) -> None:
    """asked: by job who asked for it, and the note that is its name, as far as the list of jobs goes back."""
    versions = registry.versions()
    moves = sorted((move for chain in registry.chains() for move in chain.moves()), key=lambda move: move.at)
    if as_json:
        shown = [{**asdict(version), "stage": version.stage.value} for version in versions]
        moved = [{**asdict(m), "position": m.position.hex(), "client": None, "note": None} for m in moves]
        for move in moved:
            if (one := asked.get(str(move["job"]))) is not None:
                move |= {"client": one.client, "note": one.name}
        click.echo(json.dumps({"models": shown, "moves": moved}, indent=1))
        return
    console, table = Console(), Table("version", Column("job", no_wrap=True), "stage", "trained", "SHA-256", box=None)
    for v in versions:
        table.add_row(str(v.number), v.job, v.stage.value, _when(v.at), v.digest[:16])
    console.print(table)
    for m in moves:
        whom = " of banks alone" if m.bank == ALONE else f" with {m.bank}" if m.bank else ""
        console.print(f"{_when(m.at)}  {m.action}{whom}: {m.champion}  ({m.job})", highlight=False)
        if (one := asked.get(m.job)) is not None:
            said = f": {one.name}" if one.name else ""
            console.print(Text(visible(f"  by {one.client or 'nobody known'}{said}")), highlight=False)


def monitor_command(seat: Seat[S, Any], read: Callable[[S], History]) -> click.Command:
    """read: this party's history, from its data folder."""

    @click.command()
    @_config
    @click.option("--out", type=click.Path(path_type=Path), help="Write the history to this HTML page.")
    @click.option("--lang", type=click.Choice(LANGS), default="en", show_default=True, help="Language of the page.")
    @click.option("--retrain", type=click.Path(path_type=Path), help="Submit this training plan if there is a new alarm.")
    @click.option("--client", type=click.Path(path_type=Path), help="Client configuration, for --retrain.")
    @click.option("--on-alarm", help="Run this command at a new alarm, with all new ones as JSON on its standard input.")
    @_json
    def monitor(
        config: Path,
        out: Path | None,
        lang: Lang,
        retrain: Path | None,
        client: Path | None,
        on_alarm: str | None,
        as_json: bool,
    ) -> None:
        """Show how what was scored has changed since training; exit code 3 if there is an alarm."""
        if retrain is not None and client is None:
            raise PlanError("--retrain needs --client", remedy="Name the client's configuration.")
        settings = seat.load(config)
        history = read(settings)
        if out is not None:
            from common.monitor.page import make_page  # loads what fills in templates: a daemon need not wait for it

            page = make_page(history, settings.monitor, title=config.stem, when=_when(time.time()), lang=lang)
            make_folder(out.resolve().parent)
            write_private(out, linked(page, out).encode())
        book = Book(settings.data / Name.HISTORY)
        book.mature(history.newest_matured(book.entered()))
        job, told = None, 0
        if on_alarm is not None:
            told = tell(on_alarm, seat.party.value, history.alarms, book)
        if retrain is not None and client is not None:
            job = _retrain(book, history, retrain, client)
        if as_json:
            click.echo(json.dumps({**history.as_dict(), "retraining": job.id if job else None, "told": told}, indent=1))
        else:
            _print_history(history, job, Console())
            if told:
                click.echo(f"{counted(told, 'new alarm')} told to the command of --on-alarm")
        if history.alarms:
            sys.exit(ALARM)

    return monitor


def _retrain(book: Book, history: History, plan: Path, config: Path) -> wire.Job | None:
    """Submits once for each alarm: one that led to a retraining does not lead to another.

    The request's id is of what was answered before: a call that was killed before it had entered the job gets that job.
    """
    new = {alarm.key for alarm in history.alarms} - (answered := book.answered())
    if not new:
        return None
    asked = load_plan(plan)
    submission = hashlib.sha256("\n".join(["retraining", *sorted(answered), asked.canonical()]).encode()).hexdigest()
    with Client.from_config(config) as client:
        job = client.submit(asked, submission)
    book.answer(new, job.id)
    return job


def _print_history(history: History, job: wire.Job | None, console: Console) -> None:
    months = sorted({reading.month for reading in history.readings})
    known = {month.month for month in history.matured}
    console.print(f"{counted(len(months), 'month')} scored, {len(known)} with known outcomes", highlight=False)
    if history.alarms:
        table = Table("month", "alarm", "column", Column("value", justify="right"), Column("limit", justify="right"), "model")
        for a in history.alarms:
            name = "score" if a.feature == SCORE else a.feature
            table.add_row(a.month, a.what, f"[bold red]{escape(name)}[/]", f"{a.value:.3f}", f"{a.limit:.3f}", a.model)
        console.print(table)
    else:
        console.print("[green]no alarm[/]")
    for of in history.overrides:
        told = [m for m in of.months if m.low is not None and m.high is not None]
        low, high, all_ = (sum(getattr(m, name) for m in told) for name in ("low", "high", "decided"))
        said = f"{of.model}: of {all_:,} decisions {low:,} approved and {high:,} declined against the model"
        console.print(said + (f" ({(low + high) / all_:.1%})" if all_ else ""), highlight=False)
    if history.unread:
        console.print(f"[yellow]labels not read[/] of {escape(', '.join(history.unread))}: see the log", highlight=False)
    if job is not None:
        console.print(f"retraining: {job.id}", highlight=False)


Make = Callable[[Any, str, "Choice", "int | None"], "Report"]  # by a party's settings, of a job; final decisions of a look


def report_command(seat: Seat[Any, Any], make: Make) -> click.Command:
    """make: this party's report of a job, from its data folder."""

    @click.command()
    @click.argument("job")
    @_config
    @click.option(
        "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page to write."
    )
    @click.option(
        "--lang",
        type=click.Choice(["en", "zh", "both"]),
        default="both",
        show_default=True,
        help="Its language; both: with a switch.",
    )
    def report(job: str, config: Path, out: Path, lang: Choice) -> None:
        """Write the report of a training JOB for review and signature, its tables beside it; JOB may be `champion`."""
        from common.report.write import write_report  # loads what draws: the other commands need not wait for it

        settings = seat.load(config)
        job = champion_of(settings.data) if job == "champion" else job
        make_folder(out.resolve().parent)
        write_report(make(settings, job, lang, None), out)
        text, folder = beside(out)
        click.echo(f"{out}: open it in a browser, print it to sign it; its tables are in {text} and {folder}/")

    return report


def champion_of(data: Path) -> str:
    """The job of the champion in a party's data folder, else of banks alone. Raises ConfigError where there is none."""
    registry = Registry(data / Name.REGISTRY)
    job = registry.champion or registry.of(ALONE).champion
    if job is None:
        raise ConfigError("there is no champion here", remedy="Promote a model, or name a training job.")
    return job


def verify_command(seat: Seat[Any, Any], make: Make) -> click.Command:
    """make: as for `report`."""

    @click.command()
    @click.argument("report", type=click.Path(path_type=Path))
    @_config
    def verify(report: Path, config: Path) -> None:
        """Compare a REPORT with its JSON and CSV, and with what this party's folder gives now; exit code 1 if it differs."""
        from common.report.verify import read_report, tell, verify_here

        settings, written = seat.load(config), read_report(report)
        if written.party != seat.party.value:
            raise ConfigError(f"{report}: a report of the {written.party}", remedy=f"Run `{written.party}-party verify` there.")
        tell(verify_here(written, lambda job, choice, look: make(settings, job, choice, look)))

    return verify


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
