"""Commands that `wattscore` had: they read a party's own folder, and are that party's."""

from __future__ import annotations

import shlex

import click

from common.errors import ConfigError


def _moved(name: str) -> click.Command:
    @click.command(name, context_settings={"ignore_unknown_options": True}, add_help_option=False, hidden=True)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def command(words: tuple[str, ...]) -> None:
        line = shlex.join([name, *words])
        remedy = f"Run `bank-party {line}` at the bank, `grid-party {line}` at the grid."
        raise ConfigError(f"`wattscore {name}` has moved: it reads a party's own folder", remedy=remedy)

    return command


models, monitor, report = _moved("models"), _moved("monitor"), _moved("report")
