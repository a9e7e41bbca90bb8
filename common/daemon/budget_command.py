"""`budget`, `allow`: what is spent of a party's budgets and by whom, and a person's word that a client may have more."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from common.daemon.approving import MOST_NOTE
from common.daemon.seat import Seat, open_home
from common.errors import PlanError
from common.home.audit import What
from common.home.home import Home
from common.home.rates import Usage, Word, said
from common.home.standing import Standing
from common.party import Identity
from common.process.person import person
from common.text.visible import visible

_config = click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="This party's configuration."
)


def budget_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @_config
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
    def budget(config: Path, as_json: bool) -> None:
        """Show what is spent and left of each budget, and what each client has had. No row and no id is shown."""
        home = open_home(seat, config)
        standings, usage = home.standings(), home.rates.usage()
        if as_json:
            rates = {key: getattr(home.policy, key) for key in ("jobs_per_day", "rows_per_day", "models_per_day")}
            clients = [asdict(found) for found in usage]
            words = [asdict(word) for word in home.rates.words()]
            shown = {"budgets": [_plain(s) for s in standings], "rates": rates, "clients": clients, "words": words}
            click.echo(json.dumps(shown, indent=1))
            return
        for standing in standings:
            click.echo("\n".join(_lines(standing)))
        for found in usage:
            click.echo("\n".join(_rated(found, home)))
        if not usage:
            click.echo("no client has had anything in the last 24 hours")

    return budget


def allow_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @click.argument("client")
    @click.option("--jobs", type=click.IntRange(min=0), default=0, help="So many jobs more.")
    @click.option("--rows", type=click.IntRange(min=0), default=0, help="So many scored rows more.")
    @click.option("--models", type=click.IntRange(min=0), default=0, help="So many models more that may score one row.")
    @click.option("--hours", type=click.FloatRange(min=0.1, max=720.0), default=24.0, show_default=True, help="For so long.")
    @click.option("--note", default="", help="Why, for whoever reads the log.")
    @_config
    def allow(client: str, jobs: int, rows: int, models: int, hours: float, note: str, config: Path) -> None:
        """Let CLIENT (wattscore://org/role) have more than the policy's rates, for a while; entered with who allowed it.

        The budgets of rows and labels stay as they are. A daemon that runs takes note.
        """
        who = str(Identity.parse(client))
        if not (jobs or rows or models):
            raise PlanError("nothing is allowed", remedy="Give --jobs, --rows or --models.")
        now = time.time()
        word = Word(who, person(), now, now + 3600 * hours, jobs, rows, models)
        home = open_home(seat, config)
        more: dict[str, Any] = {"jobs": jobs, "rows": rows, "models": models, "hours": hours}
        if note:
            more["note"] = visible(note)[:MOST_NOTE]
        home.audit.add(What.OVERRIDE, "", rule="rates", person=word.person, client=who, **more)
        home.rates.allow(word)
        click.echo(_said(word))

    return allow


def _plain(standing: Standing) -> dict[str, Any]:
    spent = standing.spent
    return {
        "of": standing.of,
        "key": standing.key,
        "limit": standing.limit,
        "rows": len(spent),
        "most": standing.most,
        "left": standing.left,
        "mean": float(spent.mean()) if len(spent) else 0.0,
        "full": int(np.count_nonzero(spent >= standing.limit)),
        "charges": [asdict(charge) for charge in standing.charges],
    }


def _lines(standing: Standing) -> list[str]:
    found = _plain(standing)
    lines = [f"{standing.of}: at most {standing.limit:g} ({standing.key})"]
    if not found["rows"]:
        return [*lines, "  nothing is spent"]
    lines.append(f"  {found['rows']:,} rows charged, {found['full']:,} of them fully; {found['mean']:.4g} of a row on average")
    lines.append(f"  {standing.most:.4g} of the row of which most is spent, so {standing.left:.4g} left of it")
    width = max(len(charge.user) for charge in standing.charges)
    lines += [f"  {c.user:<{width}}  {c.what}: {c.amount:,.4g} over {c.rows:,} rows" for c in standing.charges]
    return lines


def _rated(usage: Usage, home: Home) -> list[str]:
    policy = home.policy
    more = {key: sum(getattr(word, key) for word in usage.words) for key in ("jobs", "rows", "models")}
    lines = [
        f"client {usage.client}, in the last 24 hours:",
        f"  {usage.jobs:,} of {policy.jobs_per_day + more['jobs']:,} jobs (jobs_per_day)",
        f"  {usage.rows:,} of {policy.rows_per_day + more['rows']:,} scored rows (rows_per_day)",
        f"  {usage.models:,} of {policy.models_per_day + more['models']:,} models for the row scored most (models_per_day)",
    ]
    return [*lines, *(f"  {_said(word)}" for word in usage.words)]


def _said(word: Word) -> str:
    what = [(word.jobs, "jobs"), (word.rows, "rows"), (word.models, "models for a row")]
    more = ", ".join(f"{count:,} {name}" for count, name in what if count)
    return f"{word.person} allowed {word.client} {more} more on {said(word.at)}, until {said(word.until)}"
