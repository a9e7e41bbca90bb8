"""The client's commands of `wattscore` about jobs there are: jobs, show, watch, logs, cancel."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console

from common.client.client import Client, as_dict
from common.client.commands import config_option, finish, follow_job, json_option, show_job
from common.client.moment import moment
from common.client.show import print_history, print_jobs
from common.plan.job_stages import ORDER
from common.plan.job_states import State
from common.wire import coordinator_pb2 as wire


@click.command()
@click.option("--last", type=click.IntRange(0), default=100, show_default=True, help="How many, the newest; 0 for all.")
@click.option("--before", metavar="JOB", default="", help="Only those submitted before this one: the page before.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--kind", type=click.Choice([*ORDER]), help="Only those of this kind.")
@click.option("--since", type=moment, help="Only those submitted since: 2026-01-31, 2026-01-31T08:00, 12h or 30d ago.")
@config_option
@json_option
def jobs(last: int, before: str, state: str | None, kind: str | None, since: float | None, config: Path, as_json: bool) -> None:
    """List the coordinator's jobs, the newest last."""
    only = State(state) if state else None
    with Client.from_config(config) as client:
        found = client.jobs(last=last and last + 1, state=only, kind=kind or "", since=since or 0.0, before=before)
    if last and len(found) > last:
        found = found[1:]
        click.echo(f"there are older ones: --before {found[0].id}, or --last 0 for all", err=True)
    if as_json:
        click.echo(json.dumps([as_dict(job) for job in found], indent=1))
    else:
        print_jobs(found, Console())


@click.command()
@click.argument("job")
@config_option
@json_option
def show(job: str, config: Path, as_json: bool) -> None:
    """Show one JOB: state, cause, results, what was opened to whom."""
    with Client.from_config(config) as client:
        show_job(client.show(job), as_json)


@click.command()
@click.argument("job")
@config_option
@json_option
def watch(job: str, config: Path, as_json: bool) -> None:
    """Follow a JOB until it is over, then show it. Ctrl-C ends the watching, not the job."""
    with Client.from_config(config) as client:
        finish(follow_job(client, job, as_json), as_json)


@click.command()
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job is over.")
@config_option
@json_option
def logs(job: str, follow: bool, config: Path, as_json: bool) -> None:
    """Print what happened to a JOB, and when. Each party's own words are in its own log."""
    with Client.from_config(config) as client, closing(client.watch(job)) as updates:
        found, told = wire.Job(), 0
        for found in updates:
            if not as_json:
                told = print_history(found, Console(), told)
            if not follow:
                break
    if as_json:
        click.echo(json.dumps(as_dict(found)["events"], indent=1))


@click.command()
@click.argument("job")
@config_option
@json_option
def cancel(job: str, config: Path, as_json: bool) -> None:
    """End a JOB that is queued or running."""
    with Client.from_config(config) as client:
        show_job(client.cancel(job), as_json)
