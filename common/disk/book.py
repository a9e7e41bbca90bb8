"""One way to open a book: an SQLite file, mode 0600."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TypeVar

from common.disk.files import make_folder
from common.errors import ConfigError
from common.unheard import unheard

T = TypeVar("T")

_PATIENCE = 30.0  # seconds to wait for another process that writes
_KEPT_PAGES = 256  # KiB of its pages that a kept book holds in memory: SQLite's own 2 MiB fill over some thousand commits
_DISK = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,  # after _PATIENCE
}


@contextmanager
def open_book(file: Path, *, version: int = 0, durable: bool = False, remedy: str = "") -> Iterator[sqlite3.Connection]:
    """The book in `file`, made if it is new; what the block writes is kept if it ends well, else none of it.

    version: of what its tables mean. durable: once the block has ended not even a power cut undoes it, as where a charge must
    outlast what leaves after it. Without, the journal that a commit has just unlinked may come back with the power, and the
    last commit is rolled back. Raises ConfigError for a book of another version; remedy: what to do with an earlier one.
    Raises OSError where the disk refuses: SQLite's own error names no file.
    """
    with _named(file):
        _make(file)
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as book, book:
            if durable:
                book.execute("pragma synchronous = extra")
            _check_version(book, file, version, remedy)
            yield book


class KeptBook:
    """A durable book that stays open, for commits one after another, each of which waits for one write to the disk, not four.

    What is committed stands in a log beside the book, NAME-wal, until SQLite moves it into the book: by and by, and at `close`.
    Raises ConfigError once another file has the book's name: the log is not that one's.
    """

    def __init__(self, file: Path, *, version: int = 0, remedy: str = "") -> None:
        """version, remedy: as of `open_book`, which raises the same."""
        self._file, self._version, self._remedy = file, version, remedy
        self._lock = threading.Lock()
        self._book: sqlite3.Connection | None = None
        self._patient = True  # whether it waits for another process that writes
        self._is: tuple[int, int] | None = None  # the file that is open: another one may have taken its name

    def open(self) -> AbstractContextManager[sqlite3.Connection]:
        """The book, for one thread at a time; what the block writes is kept if it ends well, else none of it.

        Within `committed_together`, or `committed_aside`, it is kept once that has ended well.
        """
        return self._open() if (joint := _JOINT.get()) is None else _Written(self, joint)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _named(self._file):
            book = self._current()
            self._wait(book, patient=True)
            with book:
                yield book

    def _current(self) -> sqlite3.Connection:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            _make(self._file)
            status = self._file.stat()
        if self._book is not None and self._is != (status.st_dev, status.st_ino):
            raise ConfigError(
                f"{self._file}: another file has taken the place of the book that is open",
                remedy=f"End this process, remove {self._file.name}-wal and {self._file.name}-shm, and start it again.",
            )
        if self._book is None:
            book = sqlite3.connect(self._file, timeout=_PATIENCE, check_same_thread=False)
            try:
                book.execute("pragma synchronous = extra")
                with book:
                    _check_version(book, self._file, self._version, self._remedy)
                book.execute("pragma journal_mode = wal")
                book.execute(f"pragma cache_size = -{_KEPT_PAGES}")
            except BaseException:
                book.close()
                raise
            self._book, self._is, self._patient = book, (status.st_dev, status.st_ino), True
        return self._book

    def enter(self, held: ExitStack, *, waits: bool = True) -> sqlite3.Connection:
        """The book, until `held` ends; who asks commits. waits: for whom else writes; without, it raises `Waits` or OSError."""
        if waits:
            held.enter_context(self._lock)
            book = self._current()
            self._wait(book, patient=True)
            return book
        if not self._lock.acquire(blocking=False):
            raise Waits
        held.callback(self._lock.release)
        if self._book is None:
            raise Waits  # to open it takes the disk
        book = self._current()
        self._wait(book, patient=False)
        return book

    def _wait(self, book: sqlite3.Connection, *, patient: bool) -> None:
        """Said to SQLite where it has changed: a statement each time is a tenth of what a row takes."""
        if patient != self._patient:
            book.execute(f"pragma busy_timeout = {1e3 * _PATIENCE if patient else 0.0:.0f}")
            self._patient = patient

    def commit(self, book: sqlite3.Connection) -> None:
        """What stands in it is on disk; raises OSError, and none of it is kept, where the disk refuses."""
        with _named(self._file), book:
            pass

    def close(self) -> None:
        """All that was committed is in the book itself from here on. It opens again when it is used."""
        with self._lock:
            if self._book is not None:
                self._book.close()
            self._book = None


class Waits(BaseException):
    """What is written in an event loop would have to wait, or take long: it is undone, and done in a thread."""


class _Joint:
    """Books written in one block, which wait for the disk side by side. waits: whether the block may wait for others."""

    def __init__(self, *, waits: bool = True) -> None:
        self.waits = waits
        self.books: dict[KeptBook, sqlite3.Connection] = {}
        self._then: dict[KeptBook, list[Callable[[], None]]] = {}
        self._last: KeptBook | None = None
        self._held = ExitStack()
        self._failed: BaseException | None = None

    def write(self, kept: KeptBook) -> sqlite3.Connection:
        if (book := self.books.get(kept)) is None:
            book = self.books[kept] = kept.enter(self._held, waits=self.waits)
        self._last = kept
        return book

    def failed(self, error: BaseException) -> None:
        """Also where somebody within goes on, nothing is kept."""
        self._failed = self._failed or error

    def then(self, call: Callable[[], None]) -> None:
        assert self._last is not None  # noqa: S101  (nothing is said of a book before it is open)
        self._then.setdefault(self._last, []).append(call)

    def undo(self) -> None:
        with self._held:
            for book in self.books.values():
                book.rollback()

    def commit(self) -> None:
        """Each is tried, whatever becomes of the others; raises the first error, that of a block within before any."""
        if self._failed is not None:
            self.undo()
            raise self._failed
        errors = list[BaseException]()
        with self._held:
            written = [(kept, book) for kept, book in self.books.items() if book.in_transaction]
            begun = [_COMMITS.submit(kept.commit, book) for kept, book in written[1:]]
            waits = [partial(kept.commit, book) for kept, book in written[:1]] + [one.result for one in begun]
            for (kept, _), wait in zip(written, waits, strict=True):
                try:
                    wait()
                except BaseException as error:
                    errors.append(error)
                else:
                    self._said(kept)
        if errors:
            raise errors[0]

    def _said(self, kept: KeptBook) -> None:
        for call in self._then.get(kept, ()):
            call()


class _Written:
    """A book within `joint`: as generators with a `with` each, these take a tenth of what a row takes."""

    __slots__ = ("_joint", "_kept")

    def __init__(self, kept: KeptBook, joint: _Joint) -> None:
        self._kept, self._joint = kept, joint

    def __enter__(self) -> sqlite3.Connection:
        try:
            return self._joint.write(self._kept)
        except sqlite3.OperationalError as error:
            raise _refused(error, self._kept._file) or error from None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._joint.failed(error)
            if isinstance(error, sqlite3.OperationalError) and (named := _refused(error, self._kept._file)) is not None:
                raise named from None


_JOINT: ContextVar[_Joint | None] = ContextVar("joint", default=None)
_COMMITS = ThreadPoolExecutor(4, "commit")
_JOINTS = ThreadPoolExecutor(4, "joint")  # these wait for those, and nobody holds a book who waits for a thread of either


@contextmanager
def committed_together() -> Iterator[None]:
    """What the block writes to kept books is on disk once it ends: each waits for the disk beside the others, not after them.

    None of it where the block raises, or what writes one. Where the disk refuses one of several, others may be kept.
    """
    with _written(joint := _Joint()):
        yield
    joint.commit()


async def committed_aside(work: Callable[[], T], *, few: bool) -> T:
    """The same of what `work` writes, from an event loop: `work` runs here, and a thread waits for the disk meanwhile.

    SQLite lets go of the interpreter at each statement: two threads that both have work take turns at every one of them.
    few: whether it is that little; all of it is in a thread otherwise, or where it would wait (`Waits`): run a second time.
    What was written is committed though who awaits it is cancelled.
    """
    found, committed = await written_aside(work, few=few)
    await committed
    return found


async def written_aside(work: Callable[[], T], *, few: bool) -> tuple[T, asyncio.Future[None]]:
    """As `committed_aside`, which returns once it is written; what comes with it is done once that is on disk."""
    loop = asyncio.get_running_loop()
    committed: asyncio.Future[None] = unheard(loop.create_future())
    if few:
        try:
            with _written(joint := _Joint(waits=False)):
                found = work()
        except Waits:
            pass
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        else:
            _JOINTS.submit(_commit, joint, loop, committed)
            return found, committed
    found = await asyncio.to_thread(_together, work)
    committed.set_result(None)
    return found, committed


def _commit(joint: _Joint, loop: asyncio.AbstractEventLoop, committed: asyncio.Future[None]) -> None:
    """In a thread. Says so to the loop itself: futures of threads that are chained to its own take three times as long."""
    error: BaseException | None = None
    try:
        joint.commit()
    except BaseException as raised:
        error = raised
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_say, committed, error)


def _say(committed: asyncio.Future[None], error: BaseException | None) -> None:
    if not committed.done():
        committed.set_result(None) if error is None else committed.set_exception(error)


def may_wait() -> None:
    """Said by what takes long, or waits: raises `Waits` where an event loop runs it."""
    if (joint := _JOINT.get()) is not None and not joint.waits:
        raise Waits


def _together(work: Callable[[], T]) -> T:
    with committed_together():
        return work()


@contextmanager
def _written(joint: _Joint) -> Iterator[None]:
    """What the block writes to kept books is to be committed by `joint`; undone where it raises."""
    token = _JOINT.set(joint)
    try:
        yield
    except BaseException:
        joint.undo()
        raise
    finally:
        _JOINT.reset(token)


def once_committed(call: Callable[[], None]) -> None:
    """Calls once what was written to the kept book that was opened last is on disk: now, but within `committed_together`."""
    if (joint := _JOINT.get()) is None:
        call()
    else:
        joint.then(call)


def copy_book(source: Path, target: Path) -> None:
    """The book as it is at one moment, what stands in a log beside it included, into a new file; others may write meanwhile."""
    with _named(target):
        _make(target)
        with closing(sqlite3.connect(source, timeout=_PATIENCE)) as book, closing(sqlite3.connect(target)) as copy:
            copy.execute("pragma synchronous = extra")
            book.backup(copy)
            copy.execute("pragma journal_mode = delete")  # the copy needs no log of its own


def add_column(book: sqlite3.Connection, table: str, column: str, kind: str) -> None:
    """Gives a table a column that it lacks. kind: with a default, for who writes rows without it. All three are constants."""

    def lacks() -> bool:
        return column not in {row[1] for row in book.execute(f"pragma table_info({table})")}

    if lacks():
        book.execute("begin immediate")  # another process may be about it
        if lacks():
            book.execute(f"alter table {table} add column {column} {kind}")


def is_whole(file: Path) -> bool:
    """Whether SQLite finds nothing wrong with a book; nothing is written."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as book:
            return bool(book.execute("pragma quick_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _make(file: Path) -> None:
    if not file.exists():
        make_folder(file.parent)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """An error of the disk as an OSError that names the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if (named := _refused(error, file)) is None:
            raise
        raise named from None


def _refused(error: sqlite3.OperationalError, file: Path) -> OSError | None:
    """None where it is no error of the disk."""
    number = _DISK.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return None if number is None else OSError(number, str(error), str(file))


def _check_version(book: sqlite3.Connection, file: Path, version: int, remedy: str) -> None:
    """Numbers a book that has no table yet; another number is no reason to read a book as if it were this one's, or empty."""

    def number() -> int:
        (found,) = book.execute("pragma user_version").fetchone()
        return int(found)

    if number() == version:
        return
    if book.execute("select count(*) from sqlite_master").fetchone()[0]:
        # looked at again: another process may have begun the book since, and numbers it before it has a table
        if (found := number()) == version:
            return
        earlier = remedy or "Keep it apart: this release begins a new one."
        raise ConfigError(
            f"{file}: a book of {'a later' if found > version else 'an earlier'} version, which this release cannot tell",
            expected=version,
            got=found,
            remedy="Install the release that wrote it." if found > version else earlier,
        )
    book.execute(f"pragma user_version = {version}")
