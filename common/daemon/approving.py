"""`approve`, `deny`: what people of a party say of the jobs that it holds."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from common.daemon.prospect import lines, prospect
from common.daemon.seat import Seat, open_home
from common.home.approvals import HeldJob, Ruling
from common.home.audit import What
from common.home.home import Home
from common.process.person import person
from common.text.visible import visible

MOST_NOTE = 300  # characters
_config = click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="This party's configuration."
)


def approve_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @click.argument("job", required=False)
    @click.option("--yes", is_flag=True, help="Approve without being asked; what it opens and costs is printed all the same.")
    @click.option("--json", "as_json", is_flag=True, help="Without JOB: print JSON instead of lines.")
    @_config
    def approve(job: str | None, yes: bool, as_json: bool, config: Path) -> None:
        """Let a held JOB run, after being shown what it would open and cost; without JOB, list those that wait.

        Entered with the account that logged in. Where the policy asks for two people, both have to. A daemon that
        runs takes note.
        """
        home = open_home(seat, config)
        if job is None:
            _list(home, as_json)
            return
        held = home.approvals.find(job)
        for line in lines(prospect(held, seat.party, seat.load(config), home)):
            click.echo(visible(line))
        who = person()
        if not yes:
            click.confirm(f"Approve, as {who}?", abort=True)
        ruling = decide(home, held, who, yes=True)
        click.echo(_said(held, ruling, home))

    return approve


def deny_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @click.argument("job")
    @click.option("--note", required=True, help="Why: whoever asked for the job is told this.")
    @_config
    def deny(job: str, note: str, config: Path) -> None:
        """Refuse a held JOB; entered with the account that logged in."""
        home = open_home(seat, config)
        decide(home, home.approvals.find(job), person(), yes=False, note=note)
        click.echo(f"{job} is denied")

    return deny


def decide(home: Home, held: HeldJob, who: str, *, yes: bool, note: str = "") -> Ruling:
    """Enters a person's word in the book and in the audit log. Raises JobStateError for a word too many."""
    told = visible(note)[:MOST_NOTE]
    ruling = home.approvals.say(held.job, held.digest, who, yes=yes, note=told)
    home.audit.add(What.APPROVE if yes else What.DENY, held.job, person=who, plan=held.digest, note=told)
    return ruling


def _said(held: HeldJob, ruling: Ruling, home: Home) -> str:
    by, needed = ", ".join(ruling.approvers), home.policy.approvals
    if (left := needed - len(ruling.approvers)) > 0:
        return f"approved by {by}; {left} more to go, of {needed}"
    return f"approved by {by}: {'the run goes on' if held.own else 'the job is offered again and runs'}"


def _list(home: Home, as_json: bool) -> None:
    found = [(held, home.approvals.ruling(held)) for held in home.approvals.held()]
    if as_json:
        shown = [
            {**asdict(held), "verdict": ruling.verdict.value, "words": [asdict(word) for word in ruling.words]}
            for held, ruling in found
        ]
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    for held, ruling in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(held.at))
        by, needed = ", ".join(ruling.approvers) or "nobody", home.policy.approvals
        said = f"{ruling.verdict.value}; approved by {by}, {needed} {'has' if needed == 1 else 'have'} to"
        click.echo(visible(f"{held.job}  {since}  {held.client}  {said}"))
    if not found:
        click.echo("no job waits for approval")
