"""Pages that stand in one folder: the mark by which one is known again, and its link to the index beside it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

INDEX = "index.html"
_HEAD = 8192  # bytes in which the mark and the title stand
_MARK = re.compile(r'<meta name="wattscore-(report|page)" content="([^"]*)">')
_TITLE = re.compile(r"<title>([^<]*)</title>")
_UP = (
    '<div class="up" style="padding: 8px 24px 0; font: 13px system-ui, sans-serif"><style>@media print { .up { display: none }'
    ' }</style><a href="%s">Index · 目录</a></div>\n'
)


@dataclass(frozen=True)
class Page:
    """A page of ours. kind: report, monitor, quality or index; job: of a report; at: when it was written, since 1970."""

    file: Path
    kind: str
    job: str
    title: str
    at: float


def read_page(file: Path) -> Page | None:
    """None for a file that is no page of ours, or cannot be read."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD).decode(errors="replace")
        at = file.stat().st_mtime
    except OSError:
        return None
    if (found := _MARK.search(head)) is None:
        return None
    title = _TITLE.search(head)
    kind, job = ("report", [*found[2].split(), "", ""][1]) if found[1] == "report" else (found[2], "")
    return Page(file, kind, job, html.unescape(title[1]) if title else file.name, at)


def find_pages(folder: Path) -> list[Page]:
    """The pages in a folder and the folders in it, but for indexes, by kind, the newest first."""
    files = [*folder.glob("*.html"), *folder.glob("*/*.html")]
    found = [page for page in map(read_page, files) if page is not None and page.kind != "index"]
    return sorted(found, key=lambda page: (page.kind, -page.at))


def beside(page: Path) -> tuple[Path, Path]:
    """(the JSON, the folder of CSV files) that stand beside the page of a report."""
    return page.with_suffix(".json"), page.with_name(f"{page.stem}-tables")


def linked(text: str, out: Path) -> str:
    """The page as it is written to `out`: with a link to the index that stands beside it or one folder above, if any does."""
    for folder, way in ((out.resolve().parent, ""), (out.resolve().parent.parent, "../")):
        page = read_page(folder / INDEX)
        if page is not None and page.kind == "index":
            return text.replace("<body>\n", f"<body>\n{_UP % (way + INDEX)}", 1)
    return text


def bare(text: str) -> str:
    """The page without that link, as it was made."""
    return re.sub(re.escape(_UP).replace("%s", "[./a-z]*"), "", text, count=1)
