"""`wattscore backtest`: one plan trained as of several months, each measured on the months after it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from common.client.client import Client, as_dict, failure
from common.client.commands import config_option, follow_job, json_option
from common.client.like import training_of
from common.config import validate
from common.errors import PlanError
from common.plan.read import load_plan
from common.plan.request import check_month
from common.plan.train import TrainPlan
from common.rows.months import month_number, month_text
from common.text.visible import visible
from common.wire import coordinator_pb2 as wire


def origins(plan: TrainPlan, last: str, count: int, step: int | None) -> list[TrainPlan]:
    """Plans of `count` origins, the oldest first; the newest tests on the months up to `last`. step: months between two.

    Raises PlanError for a plan that is not split by time: it is that of a training as of a month.
    """
    if plan.split.by != "time":
        raise PlanError(
            "a back-test needs a plan that holds out the last months",
            remedy='Set keys = ["id", "period"] and, in [split], by = "time" and months.',
        )
    end, apart = month_number(last), step or plan.split.months
    months = [month_text(end - k * apart) for k in reversed(range(count))]
    raw = plan.model_dump(mode="json")
    return [
        validate(TrainPlan, {**raw, "until": month, "name": _named(plan.name, month)}, "options", PlanError) for month in months
    ]


def _named(name: str, month: str) -> str:
    ending = f" [until {month}]"
    return name[: 100 - len(ending)] + ending


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--until", "last", required=True, help="The last month to test on, YYYY-MM: outcomes are known up to it.")
@click.option("--origins", "count", type=click.IntRange(2, 24), default=4, show_default=True, help="How many trainings.")
@click.option(
    "--step", type=click.IntRange(1, 120), help="Months from one to the next; default: the months of the plan's split."
)
@config_option
@json_option
def backtest(plan: Path, last: str, count: int, step: int | None, config: Path, as_json: bool) -> None:
    """Train PLAN as of several months, each measured on the months after it; the bank's report of the last shows all.

    Each is a training of its own, and costs what one does: its held-out rows count as scored by one model more, unless
    they are others than before, as they are where the step is not shorter than the months held out.
    """
    last = _month(last)
    plans = origins(training_of(load_plan(plan), str(plan)), last, count, step)
    done: list[wire.Job] = []
    with Client.from_config(config) as client:
        for one in plans:
            job = client.submit(one)
            click.echo(f"until {one.until}: submitted as {job.id}", err=True)
            done.append(follow_job(client, job.id, as_json))
    if as_json:
        click.echo(json.dumps([as_dict(job) for job in done], indent=1))
    else:
        _print(plans, done, Console())
    if any(failure(job) is not None for job in done):
        sys.exit(1)


def _month(text: str) -> str:
    try:
        return check_month(text)
    except ValueError:
        raise PlanError(f"--until: {text!r} is not a month", remedy="Write it as 2026-01.") from None


def _print(plans: Sequence[TrainPlan], jobs: Sequence[wire.Job], console: Console) -> None:
    table = Table("until", "job", "held out", "AUC", "bank alone", "gained (95 %)", box=None)
    for plan, job in zip(plans, jobs, strict=True):
        report = job.bank.report
        if failure(job) is not None or not report.HasField("evaluation"):
            why = job.state if failure(job) is not None else "kept at the bank"
            table.add_row(plan.until or "", job.id, "", why)
            continue
        found, d = report.evaluation, report.evaluation.auc_difference
        gain = f"{d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f})"
        auc = (f"{value:.3f}" for value in (found.joint.auc, found.bank_only.auc))
        table.add_row(plan.until or "", job.id, str(report.counts.test_rows), *auc, gain)
    console.print(table)
    for job in jobs:
        if (error := failure(job)) is not None:
            console.print(visible(f"{job.id}: {error.origin or 'coordinator'}: {error}"), highlight=False, markup=False)
    if good := [job.id for job in jobs if failure(job) is None]:
        console.print(f"with calibration and intervals, at the bank: `bank-party report {good[-1]}`", highlight=False)
