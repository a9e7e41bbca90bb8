"""The report's words in English and Chinese, side by side in `texts.toml`, and how they stand in a page of one or both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from markupsafe import Markup, escape

from common.disclosure import CATALOGUE, Opened
from common.text.words import LANGS, Lang, Pairs, read_words

Choice = Literal["en", "zh", "both"]
TAGS: dict[Lang, str] = {"en": "en", "zh": "zh-CN"}

_FILE = Path(__file__).with_name("texts.toml")


def catalogue() -> Pairs:
    """`section.key` -> (English, Chinese)."""
    return read_words(_FILE)


class Words:
    """Texts as HTML in the languages of one page; both stand in it, and a style sheet hides one."""

    def __init__(self, choice: Choice) -> None:
        self.langs: tuple[Lang, ...] = LANGS if choice == "both" else (choice,)

    def __call__(self, key: str, **values: object) -> Markup:
        """The text of `key`, its {names} filled in."""
        return self.pair(*self.texts(key, **values))

    def texts(self, key: str, **values: object) -> tuple[str, str]:
        """(English, Chinese) without markup."""
        en, zh = catalogue()[key]
        return en.format(**values), zh.format(**values)

    def pair(self, en: str, zh: str) -> Markup:
        """These two texts; once if they are alike."""
        if en == zh or len(self.langs) == 1:
            return escape(zh if self.langs == ("zh",) else en)
        return Markup('<span class="en" lang="en">{}</span><span class="zh" lang="zh-CN">{}</span>').format(en, zh)

    def tspans(self, en: str, zh: str) -> str:
        """The same inside an SVG text element."""
        if en == zh or len(self.langs) == 1:
            return str(escape(zh if self.langs == ("zh",) else en))
        return "".join(f'<tspan class="{lang}">{escape(text)}</tspan>' for lang, text in (("en", en), ("zh", zh)))

    def disclosed(self, opened: Opened) -> tuple[Markup, Markup]:
        """(what, why) of the list of what may be opened; what has no Chinese yet is shown in English."""
        entry = CATALOGUE[opened]
        what, why = catalogue().get(f"disclosure.{opened.value}", (entry.what, entry.why))
        return self.pair(entry.what, what), self.pair(entry.why, why)

    def warning(self, text: str) -> Markup:
        """A warning as the software gave it, in Chinese where it is known."""
        for key, (pattern, zh) in catalogue().items():
            if key.startswith("warning.") and (found := re.fullmatch(pattern, text)) is not None:
                return self.pair(text, zh.format(**found.groupdict()))
        return self.pair(text, text)
