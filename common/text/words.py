"""The words of a page in English and Chinese, side by side in a TOML file: `key = ["English", "中文"]`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = ("en", "zh")

Pairs = Mapping[str, tuple[str, str]]


@functools.cache
def read_words(file: Path) -> Pairs:
    """`key`, or `section.key` of what stands in a section -> (English, Chinese)."""
    found: dict[str, tuple[str, str]] = {}
    for name, entry in tomllib.loads(file.read_text(encoding="utf-8")).items():
        section = {f"{name}.{key}": texts for key, texts in entry.items()} if isinstance(entry, dict) else {name: entry}
        found |= {key: (en, zh) for key, (en, zh) in section.items()}
    return found


def words_in(file: Path, lang: Lang) -> dict[str, str]:
    """The words of one language, by key."""
    return {key: pair[LANGS.index(lang)] for key, pair in read_words(file).items()}
