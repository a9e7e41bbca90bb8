"""A command line whose commands are imported when they are called: to say its version, none has to load numpy or gRPC."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from common import __version__
from common.errors import WattScoreError
from common.text.visible import visible


@dataclass(frozen=True)
class Entry:
    """A command: MODULE:NAME of it, and what the list of commands says of it, none for one that is not listed."""

    at: str
    about: str | None


def entries(module: str, **about: str | None) -> dict[str, Entry]:
    """Commands that are called as they are in `module`."""
    return {name: Entry(f"{module}:{name}", text) for name, text in about.items()}


class LazyGroup(click.Group):
    """Prints our errors as one line with the remedy; exit code 2 for them, 1 for a job that did not succeed."""

    def __init__(
        self, name: str, about: str, entries: Mapping[str, Entry], sections: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        """sections: by title, the names of its commands and a line that shows one of them; the rest comes last."""
        super().__init__(name, help=about)
        self._sections = sections or {}
        self.entries = entries
        click.version_option(__version__, prog_name=name)(self)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WattScoreError as error:
            where = f"{error.origin}: " if error.origin else ""
            click.echo(visible(f"{self.name}: {where}{error}"), err=True)
            sys.exit(2)
        except OSError as error:
            from common.disk.refused import refused  # a command has run: it is loaded, or soon

            if (named := refused(error)) is None:
                raise
            click.echo(visible(f"{self.name}: {named}"), err=True)
            sys.exit(2)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for name, entry in self.entries.items() if entry.about is not None)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (entry := self.entries.get(cmd_name)) is None:
            return None
        module, _, name = entry.at.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: click would ask every command, and so import it."""
        left = dict.fromkeys(self.list_commands(ctx))
        for title, (names, example) in self._sections.items():
            with formatter.section(title):
                self._write(formatter, names.split())
                formatter.write_text(f"$ {example}")
            left = {name: None for name in left if name not in names.split()}
        if left:
            with formatter.section("Commands" if not self._sections else "More"):
                self._write(formatter, left)

    def _write(self, formatter: click.HelpFormatter, names: Iterable[str]) -> None:
        formatter.write_dl([(name, self.entries[name].about or "") for name in names])
