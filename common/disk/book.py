"""One way to open a book: an SQLite file, mode 0600."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from common.disk.files import make_folder
from common.errors import ConfigError

_PATIENCE = 30.0  # seconds to wait for another process that writes
_DISK = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_IOERR: errno.EIO}


@contextmanager
def open_book(file: Path, *, version: int = 0, durable: bool = False, remedy: str = "") -> Iterator[sqlite3.Connection]:
    """The book in `file`, made if it is new; what the block writes is kept if it ends well, else none of it.

    version: of what its tables mean. durable: once the block has ended not even a power cut undoes it, as where a charge must
    outlast what leaves after it. Without, the journal that a commit has just unlinked may come back with the power, and the
    last commit is rolled back. Raises ConfigError for a book of another version; remedy: what to do with an earlier one.
    Raises OSError where the disk refuses: SQLite's own error names no file.
    """
    if not file.exists():
        make_folder(file.parent)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as book, book:
            if durable:
                book.execute("pragma synchronous = extra")
            _check_version(book, file, version, remedy)
            yield book
    except sqlite3.OperationalError as error:
        if (number := _DISK.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)) is None:
            raise
        raise OSError(number, str(error), str(file)) from None


def _check_version(book: sqlite3.Connection, file: Path, version: int, remedy: str) -> None:
    """Numbers a book that has no table yet; another number is no reason to read a book as if it were this one's, or empty."""
    (found,) = book.execute("pragma user_version").fetchone()
    if found == version:
        return
    if book.execute("select count(*) from sqlite_master").fetchone()[0]:
        earlier = remedy or "Keep it apart: this release begins a new one."
        raise ConfigError(
            f"{file}: a book of {'a later' if found > version else 'an earlier'} version, which this release cannot tell",
            expected=version,
            got=found,
            remedy="Install the release that wrote it." if found > version else earlier,
        )
    book.execute(f"pragma user_version = {version}")
