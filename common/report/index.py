"""The index: one page of all that a party has, in both languages like its report."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from common.disk.pages import Page
from common.party import Party
from common.report import numbers
from common.report.contents import Contents
from common.report.texts import TAGS, Choice, Words
from common.text.templates import pages

_TEMPLATES = Path(__file__).with_name("templates")
SECTIONS = ("alarms", "pages", "models", "datasets", "jobs", "scores", "stocks", "budgets", "clients")
MOST = 20  # of what there is most of: the newest


def make_index(contents: Contents, out: Path, choice: Choice) -> str:
    """The page in one language or, by a switch, in both. out: where it will stand, which its links start from."""
    words, folder = Words(choice), out.resolve().parent
    environment = pages([_TEMPLATES], {**numbers.FILTERS, "when": _when, "size": _size, "amount": _amount})
    environment.globals |= {"t": words, "words": words, "tags": TAGS}
    reports = {page.job: page for page in reversed(contents.pages) if page.kind == "report"}
    return environment.get_template("index.html.j2").render(
        c=contents, party=contents.party.value, sections=_sections(contents), most=MOST,
        reports=reports, href=lambda page: _href(page, folder), label=lambda key: _labels(words, key),
        champion=next((m.version for m in contents.models if m.version.stage.value == "champion"), None),
    )  # fmt: skip


def _sections(contents: Contents) -> list[str]:
    """Scores are the bank's."""
    return [name for name in SECTIONS if name != "scores" or contents.party is Party.BANK]


def _labels(words: Words, key: str) -> tuple[str, str]:
    """What stands beside a cell on a narrow screen: English and Chinese, alike where the page has one language."""
    en, zh = words.texts(key)
    return (en, zh) if len(words.langs) > 1 else (zh, zh) if words.langs == ("zh",) else (en, en)


def _href(page: Page, folder: Path) -> str:
    return Path(os.path.relpath(page.file.resolve(), folder)).as_posix()


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 2**10:,.1f} KiB"


def _amount(value: Any) -> str:
    return f"{value:,.4g}"
