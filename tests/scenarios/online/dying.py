"""A company's daemon that ends as by `kill -9` at one point of a charge, or finds its disk full: in place of the real one.

DIES in its environment is a file that holds a daemon's name and a point: its next charge that comes to it takes the file away.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import bank_party.__main__
import grid_party.__main__
from common.disk.book import KeptBook
from common.stages import asked

_MAIN: dict[str, Any] = {"grid": grid_party.__main__.main, "bank": bank_party.__main__.main}
_SIDES: dict[str, Any] = {"grid": asked._Grid, "bank": asked._Bank}
_commit = KeptBook.commit


def _is_at(point: str) -> bool:
    file = Path(os.environ["DIES"])
    if not file.exists() or file.read_text(encoding="utf-8") != f"{_NAME} {point}":
        return False
    file.unlink()
    return True


def _dies(point: str) -> None:
    if _is_at(point):
        os.kill(os.getpid(), signal.SIGKILL)


def _committed(self: KeptBook, book: sqlite3.Connection) -> None:
    _dies(f"before {self._file.name}")
    if _is_at(f"full at {self._file.name}"):
        book.rollback()
        raise OSError(errno.ENOSPC, "no space left", str(self._file))
    _commit(self, book)
    _dies(f"after {self._file.name}")


def _dying(side: Any) -> None:
    score = side._score

    async def scored(self: Any, *rows: Any) -> Any:
        _dies("once asked")
        found = await score(self, *rows)
        _dies("once told")
        return found

    side._score = scored


if __name__ == "__main__":
    _NAME = Path(sys.argv[sys.argv.index("--config") + 1]).stem
    KeptBook.commit = _committed  # type: ignore[method-assign]
    _dying(_SIDES[_NAME])
    _MAIN[_NAME]()
