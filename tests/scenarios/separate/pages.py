"""The three deployment pages, read as a machine would: what to type, section by section."""

from __future__ import annotations

import re

from tests.source import ROOT

ROLES = ("grid", "bank", "coordinator")
KEYS, TRUST, CONFIGURATION, DATA, DRY_RUN, START, TRAIN, ROTATE = 2, 3, 4, 6, 7, 8, 9, 12


def page(role: str, language: str = "en") -> str:
    name = "README.md" if language == "en" else "README.zh-CN.md"
    return (ROOT / "deploy" / role / name).read_text(encoding="utf-8")


def blocks(role: str, language: str = "en") -> dict[int, list[str]]:
    """The shell blocks of each numbered section."""
    sections = re.split(r"^## (\d+)\. .*$", page(role, language), flags=re.MULTILINE)[1:]
    return {
        int(number): re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for number, text in zip(sections[::2], sections[1::2], strict=True)
    }
