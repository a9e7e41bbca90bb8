"""Commands that are looked for under `wattscore`: they read a party's own folder, and are that party's."""

from __future__ import annotations

import shlex

import click

from common.errors import ConfigError


def _moved(name: str, *, at_grid: bool = True) -> click.Command:
    @click.command(name, context_settings={"ignore_unknown_options": True}, add_help_option=False, hidden=True)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def command(words: tuple[str, ...]) -> None:
        line = shlex.join([name, *words])
        grid = f", `grid-party {line}` at the grid" if at_grid else ""
        raise ConfigError(
            f"`wattscore {name}` is a party's own command: it reads that party's folder",
            remedy=f"Run `bank-party {line}` at the bank{grid}.",
        )

    return command


models, monitor, report = _moved("models"), _moved("monitor"), _moved("report")
pipeline = _moved("pipeline", at_grid=False)
