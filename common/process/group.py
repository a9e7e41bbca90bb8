"""A command line whose commands are imported when they are called: to say its version, none has to load numpy or gRPC."""

from __future__ import annotations

import atexit
import difflib
import functools
import gc
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from common import __version__
from common.errors import WattScoreError
from common.text.visible import visible

_LANG = "Language of the help: en or zh."


@dataclass(frozen=True)
class Entry:
    """A command: MODULE:NAME of it, and what the list of commands says of it, none for one that is not listed."""

    at: str
    about: str | None


def entries(module: str, **about: str | None) -> dict[str, Entry]:
    """Commands that are called as they are in `module`."""
    return {name: Entry(f"{module}:{name}", text) for name, text in about.items()}


@functools.cache
def _end_at_once() -> None:
    """Has this process end without looking for garbage among all that was imported, which takes up to 0.4 s.

    Files and books are closed by whoever opened them; what is referred to no more is let go as ever.
    """
    atexit.register(gc.freeze)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Of imports nothing is garbage, and looking for some among them takes an eighth of their time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class HelpContext(click.Context):
    """Writes help in the language that the command line was called in."""

    def make_formatter(self) -> click.HelpFormatter:
        if getattr(self.find_root().command, "language", "en") != "zh":
            return super().make_formatter()
        from common.process.chinese import ChineseFormatter

        return ChineseFormatter(width=self.terminal_width, max_width=self.max_content_width)


class _Language(click.Option):
    """The language of the help, which a command line may name anywhere; commands list it where it stands first."""

    def __init__(self, hidden: bool) -> None:
        super().__init__(["--lang"], type=click.Choice(["en", "zh"]), expose_value=False, help=_LANG, hidden=hidden)


def _speaks(command: click.Command) -> None:
    """Has its help written so, and that of the commands in it; takes --lang, unless that is the language of what it writes."""
    command.context_class = HelpContext
    if not any("--lang" in param.opts for param in command.params):
        command.params.append(_Language(hidden=True))
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        _speaks(one)


class LazyGroup(click.Group):
    """Prints our errors as one line with the remedy; exit code 2 for them, 1 for a job that did not succeed."""

    context_class = HelpContext

    def __init__(
        self, name: str, about: str, entries: Mapping[str, Entry], sections: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        """sections: by title, the names of its commands and a line that shows one of them; the rest comes last."""
        super().__init__(name, help=about)
        self._sections = sections or {}
        self.entries = entries
        self.language = "en"
        click.version_option(__version__, prog_name=name)(self)
        self.params.append(_Language(hidden=False))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _end_at_once()
        return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The language is looked for first: `--help` ends the parsing where it stands."""
        self.language = _language(args, self._own_language(ctx, args))
        return super().parse_args(ctx, args)

    def _own_language(self, ctx: click.Context, args: Sequence[str]) -> bool:
        """Whether --lang after the command is the language of what it writes. Only then is the command imported for it."""
        if "--help" in args or not any(word.startswith("--lang") for word in args):
            return False
        command: click.Command = self
        for word in args:
            if isinstance(command, click.Group) and not word.startswith("-"):
                command = command.get_command(ctx, word) or command
        return not any(isinstance(param, _Language) for param in command.params)

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
        with _uncollected():
            command: click.Command = getattr(importlib.import_module(module), name)
        _speaks(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest commands where there is none of this name: click would look among those that are imported."""
        if ctx.resilient_parsing or args[0].startswith("-") or self.get_command(ctx, args[0]) is not None:
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(args[0], self.list_commands(ctx))
        meant = f" Did you mean {' or '.join(near)}?" if near else f" `{self.name} --help` lists them."
        raise click.UsageError(f"no command {args[0]!r}.{meant}", ctx)

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


def _language(args: Sequence[str], own: bool) -> str:
    """The language of the help: as the option says, else WATTSCORE_LANG, else the locale.

    own: the command has a --lang of its own, so that only one before it counts.
    """
    for word, after in zip(args, [*args[1:], ""], strict=False):
        if word.partition("=")[0] == "--lang":
            return word.partition("=")[2] or after
        if word == "--" or (own and not word.startswith("-")):
            break
    names = ("WATTSCORE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # in the order of POSIX
    return next((value for name in names if (value := os.environ.get(name))), "en")[:2]
