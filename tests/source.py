"""Reading the project's own source."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def parse(path: Path) -> ast.Module:
    """The module at `path`. No garbage is collected meanwhile: a finaliser whose traceback is formatted parses source too, and
    in the middle of a parse that is a SystemError of CPython 3.11.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        if collects:
            gc.enable()
