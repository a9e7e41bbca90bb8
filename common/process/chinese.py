"""Help in Chinese: every text of it by its English in `help.zh.toml`, and lines broken where Chinese breaks them."""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

_CUT = "..."  # how click ends a text that it has shortened
_EXTRA = re.compile(r"(.*)  \[([^\]]*)\]", re.DOTALL)  # a default and the like, behind the text of an option
_MARKS = "，。；：、）】？！"  # none of these begins a line
_PIECES = re.compile(rf"(?:[!-~]+|.)[{_MARKS}]* ?")


@functools.cache
def read_chinese() -> Mapping[str, str]:
    """The English of a text -> its Chinese."""
    return tomllib.loads(Path(__file__).with_name("help.zh.toml").read_text(encoding="utf-8"))


class ChineseFormatter(click.HelpFormatter):
    """Looks each text up as click writes it; one that is not there stays as it is."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or "用法：")

    def write_heading(self, heading: str) -> None:
        super().write_heading(_said(heading))

    def write_text(self, text: str) -> None:
        paragraphs = re.split(r"\n\s*\n", text)
        for k, paragraph in enumerate(paragraphs):
            self.write("\n" if k else "")
            self._write_lines(" " * self.current_indent, _said(paragraph))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        first = min(max((_wide(name) for name, _ in rows), default=0), col_max) + col_spacing
        for name, text in rows:
            head = " " * self.current_indent + name
            if _wide(name) > first - col_spacing:
                self.write(head + "\n")
                head = ""
            self._write_lines(head.ljust(self.current_indent + first), _with_extra(text))

    def _write_lines(self, head: str, text: str) -> None:
        """The text behind `head`, its further lines below its first."""
        for line in _fold(text, max(20, self.width - len(head))):
            self.write(f"{head}{line}\n")
            head = " " * len(head)


def _said(text: str) -> str:
    """A text that click has shortened is the first sentence of the one that begins so."""
    words, plain = read_chinese(), " ".join(text.split())
    if plain in words:
        return words[plain]
    begins = plain.removesuffix(_CUT)
    whole = next((zh for en, zh in words.items() if len(begins) > 8 and en.startswith(begins)), None)
    return text if whole is None else whole.partition("。")[0] + "。"


def _with_extra(text: str) -> str:
    found = _EXTRA.fullmatch(text)
    if found is None:
        return _said(text)
    extra = found[2].replace("default: ", "默认：").replace("required", "必填").replace("env var: ", "环境变量：")
    return f"{_said(found[1])} [{extra}]"


def _wide(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _fold(text: str, width: int) -> Iterator[str]:
    """Lines of at most so many columns; a word of Latin letters stays whole where it can."""
    line = ""
    for piece in _PIECES.findall(" ".join(text.split())):
        if line and _wide(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()
