"""Every table of a page as numbers, read from the same templates: none is forgotten, what a page hides is hidden here too."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html.parser import HTMLParser

from markupsafe import Markup

from common.text.visible import inert

VERSION = 2
_NO_FIGURES = ("sign",)  # lines to write on


@dataclass(frozen=True)
class Table:
    """A table of one section: `name` is the section and a number, rows are as wide as `columns`."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_csv(self) -> str:
        """As CSV, a byte-order mark first, so that spreadsheets read names in any script; nothing that they would run."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(map(inert, self.columns))
        writer.writerows([inert(cell) for cell in row] for row in self.rows)
        return "\ufeff" + out.getvalue()


def read_tables(page: str) -> tuple[Table, ...]:
    """The tables of a page and its lists of facts, in their order; of a page in both languages, the English."""
    return tuple(_Reader(page).tables)


def digest(tables: Sequence[Table]) -> str:
    """SHA-256 in hexadecimal of the tables as JSON without blanks, keys sorted, UTF-8."""
    text = json.dumps([asdict(table) for table in tables], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_TABLE = re.compile(r"<table.*?</table>", re.DOTALL)
_NARROW = 4  # columns that a telephone has room for


def framed(html: Markup, section: str) -> Markup:
    """A section's HTML with each table in a frame, which scrolls where it is too narrow while the page stays.

    A wide one can be reached by the keyboard, and is called as the section's heading is. Attributes of ours alone: `html` is
    markup of our templates, escaped already.
    """

    def frame(found: re.Match[str]) -> str:
        wide = found[0].partition("</thead>")[0].count("<th") - 1 > _NARROW
        reached = f' role="region" tabindex="0" aria-labelledby="h-{section}"' if wide else ""
        return f'<div class="wide"{reached}>{found[0]}</div>'

    return Markup(_TABLE.sub(frame, html))  # noqa: S704


class _Reader(HTMLParser):
    """Cells as they stand; a list of points is one cell a value, and becomes "value: points" joined by "; "."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self._section, self._seen, self._hidden = "", 0, 0
        self._head: list[str] = []
        self._rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self._row: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if self._hidden or "zh" in str(named.get("class", "")).split():
            self._hidden += tag not in ("br", "wbr", "meta", "input")
            return
        if tag == "section":
            self._section, self._seen = str(named.get("id")), 0
        elif tag in ("table", "dl"):
            self._head, self._rows, self._row = [], [], []
        elif tag in ("td", "th", "dt", "dd"):
            self._cell = []
        elif tag == "b" and self._cell is not None and self._cell:
            self._cell.append(": ")  # its points, behind a value
        elif tag == "span" and "a" in str(named.get("class", "")).split() and self._cell:
            self._cell.append("; ")

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
            return
        if tag in ("td", "dt", "dd", "th") and self._cell is not None:
            (self._head if tag == "th" else self._row).append(" ".join("".join(self._cell).split()))
            self._cell = None
        if tag in ("tr", "dd") and self._row:
            self._rows.append(self._row)
            self._row = []
        if tag in ("table", "dl") and self._rows and self._section not in _NO_FIGURES:
            self._seen += 1
            width = max(len(row) for row in self._rows)
            head = self._head if len(self._head) == width else ["name", "value", *map(str, range(3, width + 1))][:width]
            rows = tuple(tuple(row + [""] * (width - len(row))) for row in self._rows)
            self.tables.append(Table(f"{self._section}-{self._seen}", tuple(head), rows))
