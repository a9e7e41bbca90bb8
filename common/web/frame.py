"""Pages in one frame and one of two languages: templates, words, the files beside them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse

from common.text.templates import Filters, pages
from common.text.visible import visible
from common.text.words import LANGS, Lang, Pairs, read_words
from common.web.login import Visitor

_HERE = Path(__file__).parent
_TAGS: Mapping[Lang, str] = {"en": "en", "zh": "zh-CN"}
_STATIC = {"console.css": "text/css", "console.js": "text/javascript"}


def language(path: str, accepted: str = "") -> Lang:
    """That of a page's address, else the first of both that a browser asks for."""
    first = path.strip("/").partition("/")[0]
    for lang in LANGS:
        if first == lang:
            return lang
    for part in accepted.lower().split(","):
        for lang in LANGS:
            if part.strip().startswith(lang):
                return lang
    return "en"


class Frame:
    """Fills in templates. title: the key of the words for whose console it is."""

    def __init__(self, title: str, sections: tuple[str, ...], templates: Sequence[Path] = (), *words: Pairs) -> None:
        """sections: names of pages that the menu has, each with a word `nav.NAME`, the first of them at the root.

        templates: folders that are looked through before this one's.
        """
        self._title, self._sections = title, sections
        self._words: dict[str, tuple[str, str]] = {}
        for pairs in (*words, read_words(_HERE / "words.toml")):
            self._words |= pairs
        self._environment = pages([*templates, _HERE / "templates"], _FILTERS)

    def text(self, lang: Lang, key: str, **values: Any) -> str:
        return self._words[key][LANGS.index(lang)].format(**values)

    def page(
        self, template: str, lang: Lang, way: str, visitor: Visitor | None, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """way: of the page, behind its language; empty for the first one."""

        def t(key: str, **fields: Any) -> str:
            return self.text(lang, key, **fields)

        body = self._environment.get_template(f"{template}.html.j2").render(
            values | {
                "t": t, "has": lambda key: key in self._words, "lang": lang, "tag": _TAGS[lang], "way": way, "visitor": visitor,
                "title": t(self._title), "sections": self._sections, "root": f"/{lang}/", "now": time.time(),
                "other": next(other for other in LANGS if other != lang),
            }
        )  # fmt: skip
        return HTMLResponse(body, status)


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


_FILTERS: Filters = {
    "when": lambda at: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "–",
    "count": lambda number: f"{number:,}",
    "amount": lambda number: f"{number:,.4g}",
    "size": size,
    "clean": lambda text: visible(str(text)),
}


def static(name: str) -> Response:
    """One of the two files that pages link to. Raises KeyError for another."""
    kind = _STATIC[name]
    return Response((_HERE / "static" / name).read_bytes(), media_type=kind)
