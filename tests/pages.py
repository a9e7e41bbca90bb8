"""Reading the project's pages: code blocks, headings, tables, commands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator


def blocks(text: str, language: str = r"\w+") -> list[tuple[str, str]]:
    return re.findall(rf"^```({language})\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def plain(language: str, code: str) -> object:
    """A code block without its comments, which are translated."""
    if language == "toml":
        return tomllib.loads(code)
    return re.sub(r"\s+# .*", "", code) if language == "sh" else code


def headings(text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(#+) ", prose, re.MULTILINE)


def command_lines(text: str) -> Iterator[str]:
    for _, code in blocks(text, "sh"):
        yield from (line for line in re.sub(r"\s+# .*", "", code).splitlines() if line)


def rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| ?(.*)\|$", text, re.MULTILINE)
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
