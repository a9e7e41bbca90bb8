"""What reaches the disk, in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


class Diary:
    """As a context: each fsync (`sync PATH`) and each replacement (`name PATH`) of this process, and notes of one's own."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self._patch = pytest.MonkeyPatch()

    def note(self, what: str) -> None:
        self.entries.append(what)

    def __enter__(self) -> Diary:
        fsync, replace = os.fsync, Path.replace

        def synced(handle: int) -> None:
            fsync(handle)
            self.note(f"sync {Path(f'/proc/self/fd/{handle}').readlink()}")

        def replaced(path: Path, target: Any) -> Path:
            done = replace(path, target)
            self.note(f"name {target}")
            return done

        self._patch.setattr(os, "fsync", synced)
        self._patch.setattr(Path, "replace", replaced)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
