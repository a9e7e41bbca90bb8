"""One way to open a book: an SQLite file, mode 0600."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from common.disk.files import make_folder

_PATIENCE = 30.0  # seconds to wait for another process that writes
_DISK = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_IOERR: errno.EIO}


@contextmanager
def open_book(file: Path, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
    """The book in `file`, made if it is new; what the block writes is kept if it ends well, else none of it.

    durable: once the block has ended not even a power cut undoes it, as where a charge must outlast what leaves after it.
    Without, the journal that a commit has just unlinked may come back with the power, and the last commit is rolled back.
    Raises OSError where the disk refuses: SQLite's own error names no file.
    """
    if not file.exists():
        make_folder(file.parent)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as book, book:
            if durable:
                book.execute("pragma synchronous = extra")
            yield book
    except sqlite3.OperationalError as error:
        if (number := _DISK.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)) is None:
            raise
        raise OSError(number, str(error), str(file)) from None
