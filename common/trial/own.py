"""A party's own commands, run as that party runs them: nobody else reads its folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from common.config import read_toml
from common.errors import ConfigError
from common.party import Party
from common.trial.forkserver import ForkServer, python

_ALARM = 3  # exit code of `monitor`: it has found something, and has said it


def run_own(party: Party, *words: str | Path, forks: ForkServer | None = None) -> str:
    """The output of `grid-party WORDS` or `bank-party WORDS`. Raises ConfigError with what it says if it cannot do it.

    forks: whose copy does it; without, a new process.
    """
    command = [*python(f"{party.value}_party"), *map(str, words)]
    done = forks.run(command) if forks else subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, _ALARM):
        raise ConfigError(done.stderr.strip() or f"{party.value}-party {words[0]} ended with code {done.returncode}")
    return done.stdout


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, help="grid.toml or bank.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def budget(config: Path, as_json: bool) -> None:
    """Show what is spent and left of a party's budgets, as `grid-party budget` or `bank-party budget` does."""
    peer = read_toml(config).get("peer")
    if not isinstance(peer, dict):
        raise ConfigError(
            f"{config}: not a party's configuration", remedy="Give grid.toml or bank.toml: budgets are a party's."
        )
    party = Party.BANK if "address" in peer else Party.GRID  # the bank dials
    click.echo(run_own(party, "budget", "--config", config, *(["--json"] if as_json else [])), nl=False)


def read_own(party: Party, *words: str | Path, forks: ForkServer | None = None) -> Mapping[str, Any]:
    """The same of a command that prints JSON if asked."""
    found: Mapping[str, Any] = json.loads(run_own(party, *words, "--json", forks=forks))
    return found


def write_report(config: Path, job: str, out: Path, forks: ForkServer | None = None) -> None:
    """The bank's report of a training job; `config` is its daemon's."""
    run_own(Party.BANK, "report", job, "--config", config, "--out", out, forks=forks)
