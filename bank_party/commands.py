"""The commands of `bank-party` but `serve`: those that both parties have, at the bank's seat."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from bank_party.monitor.doctor import check_overrides
from bank_party.online.doctor import check_online
from bank_party.online.refill import refill_command
from bank_party.online.shadowed import shadow_command
from bank_party.pipeline.command import pipeline_command
from bank_party.seat import SEAT, history
from common.config import validate
from common.console.command import console_command
from common.daemon.approving import approve_command, deny_command
from common.daemon.auditing import audit_command
from common.daemon.backup import backup_command, restore_command
from common.daemon.budget_command import allow_command, budget_command
from common.daemon.commands import champion_of, models_command, monitor_command, report_command, verify_command
from common.daemon.granting import grant_command
from common.daemon.index import index_command
from common.daemon.jobs_command import jobs_command
from common.daemon.prune import prune_command
from common.doctor.cli import doctor_command
from common.doctor.side import Side
from common.errors import ConfigError, PlanError
from common.home.models import CHAMPION
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import load_plan
from common.plan.train import TrainPlan
from common.report.texts import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bank_party.settings import BankSettings
    from common.doctor.finding import Finding, Machine
    from common.report.page import Report


def load_side(config: Path) -> Side:
    """This party's, for its doctor."""
    settings = SEAT.load(config)
    return Side(SEAT.party.value, settings, partial(_more, settings))


def _more(settings: BankSettings, machine: Machine) -> Iterator[Finding]:
    yield from check_online(settings, machine)
    yield from check_overrides(settings.overrides)


def _page(settings: BankSettings, job: str, lang: Choice, look: int | None) -> Report:
    from bank_party.report.page import make_report  # draws charts: the other commands need not wait for that library

    return make_report(settings.data, job, lang, settings.card, settings.overrides, look)


jobs = jobs_command(SEAT)
models = models_command(SEAT)
budget = budget_command(SEAT)
allow = allow_command(SEAT)
approve = approve_command(SEAT)
grant = grant_command(SEAT)
deny = deny_command(SEAT)
audit = audit_command(SEAT)
monitor = monitor_command(SEAT, history)
report = report_command(SEAT, _page)
index = index_command(SEAT, history)
prune = prune_command(SEAT)
backup = backup_command(SEAT)
restore = restore_command(SEAT)
verify = verify_command(SEAT, _page)
pipeline = pipeline_command(SEAT, history, _page)
refill = refill_command(SEAT)
shadow = shadow_command(SEAT)


@click.command()
@click.option("--model", required=True, help="The training job whose model scores, or champion.")
@click.option("--grid-dataset", help="The grid's dataset to score; left out for a model of banks alone.")
@click.option("--bank-dataset", required=True, help="The bank's dataset to score.")
@click.option("--by-period", is_flag=True, help="Rows are (enterprise, period).")
@click.option("--months", help="By period: these months alone, such as 2025-06,2025-07; newest: the last of each dataset.")
@click.option("--grid-reasons", default=0, help="Most reasons of the grid told for each row, up to 2.")
@click.option(
    "--requests",
    type=click.File(encoding="utf-8"),
    help="Score only the rows that this file names, line by line as they come, and print each answer as a line of JSON; - reads"
    " standard input. A line is ID, or ID,YYYY-MM by period.",
)
@click.option("--rows", type=click.IntRange(1), default=1, show_default=True, help="Of requests: so many at least.")
@click.option("--purpose", default="", help="What for, as a grant of a dataset says.")
@click.option("--name", default="", help="A name for people.")
@click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def score(
    model: str,
    grid_dataset: str | None,
    bank_dataset: str,
    by_period: bool,
    months: str | None,
    grid_reasons: int,
    requests: TextIO | None,
    rows: int,
    purpose: str,
    name: str,
    config: Path,
    as_json: bool,
) -> None:
    """Score rows with a stock dealt ahead, with no coordinator: the grid's daemon is asked directly.

    Policies, ledger, rates and audit logs hold as for any job, whose client is the bank; both sides list it under `jobs`. Ids
    are matched between the two. Scores, grades, decisions and reasons are in the bank's data folder, scores/JOB.csv. A model of
    banks alone is this bank's own: without --grid-dataset it scores all rows here, and nobody else takes part.
    """
    if grid_dataset is None:
        _score_alone(
            config, model, bank_dataset, name, as_json, other=bool(by_period or months or grid_reasons or requests or purpose)
        )
        return
    from bank_party.desk import Lines
    from bank_party.direct import make_plan, run  # brings gRPC, which the other commands do without

    sides, on_request = (model, grid_dataset, bank_dataset), rows if requests is not None else 0
    how: dict[str, Any] = {"by_period": by_period, "months": months, "grid_reasons": grid_reasons}
    plan = make_plan(*sides, **how, on_request=on_request, name=name, purpose=purpose)
    desk = Lines(requests, click.echo, by_period=by_period) if requests is not None else None
    done = asyncio.run(run(SEAT, config, plan, desk))
    whole = json.dumps(asdict(done), default=str) if as_json else f"{done.job}: {done.rows} rows scored, in {done.file}"
    click.echo(whole, err=requests is not None)  # there answers are what is printed


def _score_alone(config: Path, model: str, dataset: str, name: str, as_json: bool, *, other: bool) -> None:
    """other: whether options were given that are of scoring with the grid."""
    from bank_party.own import score as score_own

    if other:
        raise ConfigError(
            "without --grid-dataset only --model, --bank-dataset, --name and --json mean anything",
            remedy="Leave the others out, or name the grid's dataset.",
        )
    done = score_own(SEAT, config, model, dataset, name)
    click.echo(json.dumps(asdict(done), default=str) if as_json else f"{done.job}: {done.rows} rows scored, in {done.file}")


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(1), required=True, help="Rows to train on, as many as there will be or a few more.")
@click.option("--grid", type=click.IntRange(1), required=True, help="The grid's trained columns.")
@click.option("--bank", type=click.IntRange(1), required=True, help="The bank's, its intercept included.")
@click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
def predeal(plan: Path, rows: int, grid: int, bank: int, config: Path) -> None:
    """Make a stock for a training of PLAN, with nobody who deals and no coordinator: the grid is asked directly.

    PLAN says dealer = "none"; both sides store the stock, for one use.
    """
    from bank_party.direct import make_stock

    if not isinstance(found := load_plan(plan), TrainPlan):
        raise PlanError(f"{plan}: a plan of kind {found.kind!r} trains nothing", remedy="Give a training plan.")
    raw = {"model": found.model, "rows": rows, "grid_columns": grid, "bank_columns": bank}
    job = asyncio.run(make_stock(SEAT, config, validate(PredealPlan, raw, "options", PlanError)))
    click.echo(f"{job}: a stock for {rows:,} rows x ({grid} + {bank}) columns")


@click.command()
@click.argument("job")
@click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("scorecard"), show_default=True, help="The folder to write."
)
@click.option("--table", default="applicants", show_default=True, help="The table that the SQL reads.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="A column of it to keep, such as the id; may be repeated.")
def export(job: str, config: Path, out: Path, table: str, keep: tuple[str, ...]) -> None:
    """Write the scorecard of a training JOB as JSON, CSV, SQL and PMML: what the bank knows of it; JOB may be `champion`."""
    from bank_party.export.files import export as write

    settings = SEAT.load(config)
    job = champion_of(settings.data) if job == CHAMPION else job
    formula = write(settings.data, job, settings.decision, out, table, keep)
    click.echo(f"{out}/: {len(formula.terms)} terms of {len(formula.columns)} columns as JSON, CSV, SQL and PMML")
    click.echo(formula.note)


_own = click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
_why = click.option("--note", default="", help="Why, for those who look later.")
_printed = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")


@click.command()
@click.argument("job")
@click.option("--force", is_flag=True, help="Also if it is significantly worse than the champion.")
@_why
@_own
@_printed
def promote(job: str, force: bool, note: str, config: Path, as_json: bool) -> None:
    """Make the model of JOB, a training of banks alone, this bank's champion, unless it is worse than the one before.

    Such a model is each bank's own, so nobody else is asked. Of a model with a grid both agree: wattscore promote.
    """
    _move({"model": job, "force": force, "name": note}, config, as_json)


@click.command()
@_why
@_own
@_printed
def rollback(note: str, config: Path, as_json: bool) -> None:
    """Make the champion before the present one the champion again, of models of banks alone."""
    _move({"action": "rollback", "name": note}, config, as_json)


def _move(raw: dict[str, object], config: Path, as_json: bool) -> None:
    from bank_party.own_champion import move  # loads the models' libraries

    done = move(SEAT, config, validate(PromotePlan, raw, "options", PlanError))
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(f"{done.job}: the champion is {done.champion}" + (f", before {done.before}" if done.before else ""))
    if (found := done.challenge) is None and done.before and "model" in raw:
        click.echo("Not compared: too few rows were held out by both.")
    elif found is not None:
        click.echo(f"AUC {found.auc:.4f}, of the one before {found.champion_auc:.4f}, on {found.rows} rows held out by both")


console = console_command(SEAT)
doctor = doctor_command(load_side, "This party's configuration")
