"""The client's commands of `wattscore` that submit: train, score, predeal, promote, rollback; and what all of them share."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from common.client.client import Client, as_dict, failure
from common.client.like import as_before, for_scores, training_of
from common.client.progress import follow
from common.client.show import print_job
from common.config import validate
from common.errors import PeerLost, PlanError
from common.plan.predeal import AT_ONCE, PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, load_plan
from common.plan.score import ScorePlan
from common.wire import coordinator_pb2 as wire

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("client.toml"),
    show_default=True,
    envvar="WATTSCORE_CONFIG",
    help="Client configuration.",
)
INTERRUPTED = 130  # exit code: Ctrl-C, as shells have it
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
_watch_option = click.option("--watch", is_flag=True, help="Follow the job until it is over.")
_note_option = click.option(
    "--note", default="", help="Why, for those who look later; the other side and the coordinator read it too."
)
_watched_option = click.option("--watch", is_flag=True, expose_value=False, help="As without it: the job is always followed.")


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@_watch_option
@click.option("--strict", is_flag=True, help="Follow it; exit code 3 if one of the bank's columns all but is the label.")
@config_option
@json_option
def train(plan: Path, watch: bool, strict: bool, config: Path, as_json: bool) -> None:
    """Submit the training or scoring PLAN (TOML)."""
    made = load_plan(plan)  # what is wrong in it is told whether or not there is a client yet
    with Client.from_config(config) as client:
        job = _submit(client, made, watch or strict, as_json)
    if strict:
        from common.features.leaks import PUBLIC  # and with it what computes, which no other command of a client needs
        from common.records.options import STRICT

        if any(text.startswith(PUBLIC) for text in job.bank.report.warnings):
            sys.exit(STRICT)


_WITH_BANK = click.option(
    "--with-bank", help="Which bank, by identity, where the coordinator knows several; default: the first."
)


@click.command()
@click.option("--model", required=True, help="The training job whose model scores, or champion.")
@click.option("--grid-dataset", required=True, help="The grid's dataset to score.")
@click.option("--bank-dataset", required=True, help="The bank's dataset to score.")
@_WITH_BANK
@click.option("--by-period", is_flag=True, help="Rows are (enterprise, period).")
@click.option("--months", help="By period: these months alone, such as 2025-06,2025-07; newest: the last of each dataset.")
@click.option("--ahead", is_flag=True, help="With randomness dealt before, by `predeal --scores`.")
@click.option(
    "--no-dealer",
    is_flag=True,
    help="Nobody deals, nor matches ids: by a model trained so, or one whose weights their owners hold.",
)
@click.option("--grid-reasons", default=0, help="Most reasons of the grid told for each row, up to 2.")
@click.option("--purpose", default="", help="What for, as a grant of a dataset says.")
@click.option("--name", default="", help="A name for people.")
@_watch_option
@config_option
@json_option
def score(
    model: str,
    grid_dataset: str,
    bank_dataset: str,
    with_bank: str | None,
    by_period: bool,
    months: str | None,
    ahead: bool,
    no_dealer: bool,
    grid_reasons: int,
    purpose: str,
    name: str,
    watch: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Score rows of two datasets; the bank finds scores, grades, decisions and reasons in its data folder, scores/JOB.csv."""
    raw = {
        "purpose": purpose,
        "name": name,
        "model": model,
        "grid": {"dataset": grid_dataset},
        "bank": {"dataset": bank_dataset},
        "with_bank": with_bank,
        "keys": ("id", "period") if by_period else ("id",),
        "months": months.split(",") if months else (),
        "grid_reasons": grid_reasons,
        "dealt": "ahead" if ahead else "online",
        **({"dealer": "none", "matching": "ecdh"} if no_dealer else {}),
    }
    plan = validate(ScorePlan, raw, "options", PlanError)
    with Client.from_config(config) as client:
        _submit(client, plan, watch, as_json)


@click.command()
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@click.option("--scores", is_flag=True, help="For one scoring job by a model that nobody holds.")
@click.option(
    "--rows", type=int, help="Rows, at least as many as there will be; to train on at most 1.25 times, to score 4 times."
)
@click.option("--grid", type=int, help="The grid's trained columns; for a training a few more will do.")
@click.option("--bank", type=int, help="The bank's, its intercept included.")
@click.option(
    "--reasons",
    type=click.IntRange(0, 30),
    default=0,
    help="With --scores, for scores on request: reasons of the grid too, of at most so many texts.",
)
@click.option("--like", help="A finished training job: its columns; to train, 5 % more rows and, without PLAN, its model.")
@_WITH_BANK
@click.option(
    "--times", type=click.IntRange(1, AT_ONCE), default=1, show_default=True, help="So many of them, one job after the other."
)
@_watched_option
@config_option
@json_option
def predeal(
    plan: Path | None,
    scores: bool,
    rows: int | None,
    grid: int | None,
    bank: int | None,
    reasons: int,
    like: str | None,
    with_bank: str | None,
    times: int,
    config: Path,
    as_json: bool,
) -> None:
    """Deal ahead what one training of PLAN, or of a finished one's kind, or one scoring job consumes; stored for one use."""
    with Client.from_config(config) as client:
        raw: dict[str, Any] = as_before(client.show(like), scores=scores) if like else {}
        if plan is not None:
            raw["model"] = training_of(load_plan(plan), str(plan)).model
        if scores:  # by whatever model of these columns
            raw = for_scores(raw)
        given = {"rows": rows, "grid_columns": grid, "bank_columns": bank, "with_bank": with_bank, "reasons": reasons or None}
        raw |= {k: v for k, v in given.items() if v is not None}
        needed = ["model", "rows", "grid_columns", "bank_columns"]
        if scores and raw["model"] and raw["model"].scored is not None:
            needed = needed[:2]
        if missing := [k for k in needed if k not in raw]:
            raise PlanError(
                f"nothing says the {', '.join(missing)} to deal for",
                remedy="Give PLAN, --rows, --grid and --bank, or --like JOB (with --scores: --rows too, and no PLAN).",
            )
        for _ in range(times):  # the first that is refused, for want of room, is the last
            _submit(client, validate(PredealPlan, raw, "options", PlanError), True, as_json)


@click.command()
@click.argument("job")
@click.option("--force", is_flag=True, help="Also if it is significantly worse than the champion.")
@click.option("--anew", is_flag=True, help="Where the parties' histories differ, begin a new one.")
@_WITH_BANK
@_note_option
@_watched_option
@config_option
@json_option
def promote(job: str, force: bool, anew: bool, with_bank: str | None, note: str, config: Path, as_json: bool) -> None:
    """Make the model of training JOB the champion at both parties, unless it is worse than the one before."""
    raw = {"model": job, "force": force, "anew": anew, "with_bank": with_bank, "name": note}
    plan = validate(PromotePlan, raw, "options", PlanError)
    _move(plan, config, as_json)


@click.command()
@_WITH_BANK
@_note_option
@_watched_option
@config_option
@json_option
def rollback(with_bank: str | None, note: str, config: Path, as_json: bool) -> None:
    """Make the champion before the present one the champion again, at both parties."""
    raw = {"action": "rollback", "with_bank": with_bank, "name": note}
    _move(validate(PromotePlan, raw, "options", PlanError), config, as_json)


def _move(plan: PromotePlan, config: Path, as_json: bool) -> None:
    with Client.from_config(config) as client:
        _submit(client, plan, True, as_json)


def _submit(client: Client, plan: AnyPlan, watch: bool, as_json: bool) -> wire.Job:
    """The job as it stands, or as it ended. Ends the process with exit code 1 for one that did not succeed."""
    job = client.submit(plan)
    click.echo(f"submitted as {job.id}", err=True)
    if job.repeats:
        click.echo(
            f"the same plan as {job.repeats}, which has succeeded: its rows count as scored by one model more."
            f" Not meant? `wattscore cancel {job.id}`",
            err=True,
        )
    if watch:
        job = follow_job(client, job.id, as_json)
    else:
        click.echo(f"follow it: `wattscore watch {job.id}`", err=True)
    finish(job, as_json)
    return job


def follow_job(client: Client, job: str, as_json: bool) -> wire.Job:
    """A job's last state, shown on standard error until it is over. Ctrl-C ends the watching alone, with code 130."""
    with closing(client.watch(job)) as updates:
        try:
            return list(updates)[-1] if as_json else follow(updates, Console(stderr=True))
        except KeyboardInterrupt:
            click.echo(f"\nstopped watching; {job} goes on. {_again(job)}", err=True)
            sys.exit(INTERRUPTED)
        except PeerLost:
            click.echo(f"lost sight of {job}, which may go on. {_again(job)}", err=True)
            raise


def _again(job: str) -> str:
    return f"`wattscore watch {job}` follows it, `wattscore cancel {job}` ends it."


def finish(job: wire.Job, as_json: bool) -> None:
    """Prints the job; exit code 1 if it has not succeeded and will not."""
    show_job(job, as_json, opened=False)
    if failure(job) is not None:
        sys.exit(1)


def show_job(job: wire.Job, as_json: bool, opened: bool = True) -> None:
    if as_json:
        click.echo(json.dumps(as_dict(job), indent=1))
    else:
        print_job(job, Console(), opened)
