"""The console beside a party's daemon: its pages, as the configuration says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from common.console.deciding import Approvals
from common.console.pages import SECTIONS, Pages
from common.console.standing import Standing
from common.daemon.seat import Station
from common.daemon.settings import PartySettings
from common.disclosure import CATALOGUE
from common.disk.data_folder import Name
from common.monitor.history import History
from common.party import Party
from common.report.texts import catalogue
from common.text.words import read_words
from common.web.console import Console
from common.web.frame import Frame

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class OwnPages:
    """Pages that one party alone has. folder: their `templates` and `words.toml`; add: adds them at their addresses."""

    sections: tuple[str, ...]
    folder: Path
    add: Callable[[Pages, FastAPI], None]


def make_console(
    party: Party, read: Callable[[Any], History], station: Station[Any, Any], own: OwnPages | None = None
) -> Console | None:
    """None where the configuration has no `[console]`. read: this party's history, by its settings."""
    settings: PartySettings = station.settings
    if (config := settings.console) is None:
        return None
    runner = station.runner
    words = {f"what.{key}": (en, zh) for key, (en, zh) in _disclosures().items()} | dict(read_words(_HERE / "words.toml"))
    folders = (_HERE,) if own is None else (_HERE, own.folder)
    words |= {} if own is None else read_words(own.folder / "words.toml")
    sections = SECTIONS if own is None else (*SECTIONS, *own.sections)
    frame = Frame(f"title.{party.value}", sections, [folder / "templates" for folder in folders], words)
    pages = Pages(party, lambda: runner.settings, station.home, runner.live, lambda: read(runner.settings), frame)
    parts = (pages, Approvals(pages), Standing(pages, f"{party.value}_party", station.file))

    def add(app: FastAPI) -> None:
        for part in parts:
            part.add(app)
        if own is not None:
            own.add(pages, app)

    tickets, name = settings.data / Name.LOGINS, f"wattscore-{party.value}"
    return Console(config, settings.tls, tickets, name, frame, add, config.approvers)


def _disclosures() -> dict[str, tuple[str, str]]:
    """What may be opened, in both languages; in English where it has no Chinese."""
    texts = catalogue()
    return {
        value.value: (entry.what, texts.get(f"disclosure.{value.value}", (entry.what, ""))[0])
        for value, entry in CATALOGUE.items()
    }
