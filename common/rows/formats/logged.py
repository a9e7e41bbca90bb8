"""Folders whose log says which of their files are the table's present rows: Delta, Iceberg, Hudi."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

_MARKS = (("a Delta table", "_delta_log"), ("an Iceberg table", "metadata/*.metadata.json"), ("a Hudi table", ".hoodie"))


def logged(files: Collection[Path]) -> tuple[Path, str] | None:
    """The first folder above a file that is such a table, and what it is; None where there is none.

    Rows that were deleted or replaced stay in files that the log no longer names, until somebody cleans the folder.
    """
    folders = dict.fromkeys(folder for parent in dict.fromkeys(f.absolute().parent for f in files) for folder in _up(parent))
    for folder in folders:
        for what, mark in _MARKS:
            if any(folder.glob(mark)):
                return folder, what
    return None


def _up(folder: Path) -> list[Path]:
    return [folder, *folder.parents]
