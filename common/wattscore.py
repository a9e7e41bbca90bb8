"""`wattscore`: train, score, predeal, jobs, show, cancel, models, promote, rollback, monitor, and the rest of the commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from common import __version__
from common.client.client import Client, as_dict, failure
from common.client.show import follow, print_job, print_jobs
from common.config import validate
from common.daemon.monitor_commands import models, monitor, promote, rollback
from common.daemon.report_command import report
from common.doctor.cli import doctor
from common.errors import PlanError, WattScoreError
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan, load_plan, parse_plan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.records.cli import features
from common.trial.demo_cli import collect_demo, demo
from common.trial.demo_setup import setup_demo
from common.trial.try_cli import try_
from common.trust.cli import certs
from common.wire import coordinator_pb2 as wire

_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("client.toml"),
    show_default=True,
    envvar="WATTSCORE_CONFIG",
    help="Client configuration.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


class _Group(click.Group):
    """Prints our errors as one line with the remedy; exit code 2 for them, 1 for a job that did not succeed."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WattScoreError as error:
            where = f"{error.origin}: " if error.origin else ""
            click.echo(f"wattscore: {where}{error}", err=True)
            sys.exit(2)


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="wattscore")
def main() -> None:
    """Joint credit-risk models between a grid company and a bank, neither showing the other a row."""


@main.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Follow the job until it is over.")
@_config
@_json
def train(plan: Path, watch: bool, config: Path, as_json: bool) -> None:
    """Submit the training or scoring PLAN (TOML)."""
    with Client.from_config(config) as client:
        _submit(client, load_plan(plan), watch, as_json)


@main.command()
@click.option("--model", required=True, help="The training job whose model scores, or champion.")
@click.option("--grid-dataset", required=True, help="The grid's dataset to score.")
@click.option("--bank-dataset", required=True, help="The bank's dataset to score.")
@click.option("--by-period", is_flag=True, help="Rows are (enterprise, period).")
@click.option("--grid-reasons", default=0, help="Most reasons of the grid told for each row, up to 2.")
@click.option("--name", default="", help="A name for people.")
@click.option("--watch", is_flag=True, help="Follow the job until it is over.")
@_config
@_json
def score(
    model: str,
    grid_dataset: str,
    bank_dataset: str,
    by_period: bool,
    grid_reasons: int,
    name: str,
    watch: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Score rows of two datasets; the bank finds scores, grades, decisions and reasons in its data folder, scores/JOB.csv."""
    raw = {
        "name": name,
        "model": model,
        "grid": {"dataset": grid_dataset},
        "bank": {"dataset": bank_dataset},
        "keys": ("id", "period") if by_period else ("id",),
        "grid_reasons": grid_reasons,
    }
    plan = validate(ScorePlan, raw, "options", PlanError)
    with Client.from_config(config) as client:
        _submit(client, plan, watch, as_json)


@main.command()
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@click.option("--rows", type=int, help="Training rows, at least as many as there will be and at most 1.25 times.")
@click.option("--grid", type=int, help="The grid's trained columns, or a few more.")
@click.option("--bank", type=int, help="The bank's, its intercept included.")
@click.option("--like", help="A finished training job: its sizes, 5 % more rows, and its model if no PLAN is given.")
@_config
@_json
def predeal(
    plan: Path | None, rows: int | None, grid: int | None, bank: int | None, like: str | None, config: Path, as_json: bool
) -> None:
    """Deal ahead what one training of PLAN, or of a finished one's kind, consumes; both parties store it for one use."""
    with Client.from_config(config) as client:
        raw: dict[str, Any] = _as_before(client.show(like)) if like else {}
        if plan is not None:
            raw["model"] = _training(load_plan(plan), str(plan)).model
        raw |= {k: v for k, v in {"rows": rows, "grid_columns": grid, "bank_columns": bank}.items() if v is not None}
        if missing := [k for k in ("model", "rows", "grid_columns", "bank_columns") if k not in raw]:
            raise PlanError(
                f"nothing says the {', '.join(missing)} to deal for",
                remedy="Give PLAN, --rows, --grid and --bank, or --like JOB.",
            )
        _submit(client, validate(PredealPlan, raw, "options", PlanError), True, as_json)


def _as_before(job: wire.Job) -> dict[str, Any]:
    """A predeal plan's keys for a training like this one."""
    grid, bank = job.grid.report.counts, job.bank.report.counts
    if job.kind != "train" or not (grid.trained_columns and bank.trained_columns):
        raise PlanError(f"job {job.id} has trained nothing", remedy="Name a training job that succeeded.")
    sizes = {"rows": grid.train_rows + grid.train_rows // 20, "grid_columns": grid.trained_columns}
    return {"model": _training(parse_plan(job.plan), job.id).model, **sizes, "bank_columns": bank.trained_columns}


def _training(plan: AnyPlan, source: str) -> TrainPlan:
    if not isinstance(plan, TrainPlan):
        raise PlanError(f"{source}: a plan of kind {plan.kind!r} trains nothing", remedy="Give a training plan.")
    return plan


@main.command()
@_config
@_json
def jobs(config: Path, as_json: bool) -> None:
    """List the coordinator's jobs."""
    with Client.from_config(config) as client:
        found = client.jobs()
    if as_json:
        click.echo(json.dumps([as_dict(job) for job in found], indent=1))
    else:
        print_jobs(found, Console())


@main.command()
@click.argument("job")
@_config
@_json
def show(job: str, config: Path, as_json: bool) -> None:
    """Show one JOB: state, cause, results, what was opened to whom."""
    with Client.from_config(config) as client:
        _print(client.show(job), as_json)


@main.command()
@click.argument("job")
@_config
@_json
def cancel(job: str, config: Path, as_json: bool) -> None:
    """End a JOB that is queued or running."""
    with Client.from_config(config) as client:
        _print(client.cancel(job), as_json)


def _submit(client: Client, plan: AnyPlan, watch: bool, as_json: bool) -> None:
    job = client.submit(plan)
    if watch:
        updates = client.watch(job.id)
        job = _last(updates) if as_json else follow(updates, Console(stderr=True))
    _print(job, as_json)
    if failure(job) is not None:
        sys.exit(1)


def _last(updates: Iterator[wire.Job]) -> wire.Job:
    return list(updates)[-1]


def _print(job: wire.Job, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(as_dict(job), indent=1))
    else:
        print_job(job, Console())


for command in (models, promote, rollback, monitor):
    main.add_command(command)
main.add_command(certs)
main.add_command(try_)
main.add_command(features)
main.add_command(demo)
main.add_command(collect_demo)
main.add_command(doctor)
main.add_command(setup_demo)
main.add_command(report)

if __name__ == "__main__":
    main()
