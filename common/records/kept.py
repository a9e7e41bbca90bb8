"""`wattscore features --watch`: a file of features made anew whenever what it is made of is another, for as long as it runs."""

from __future__ import annotations

import fcntl
import filecmp
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.disk.files import sync_folder
from common.disk.refused import refused
from common.errors import ConfigError, DataError, WattScoreError
from common.records.config import load_records
from common.rows.formats.paths import Stamp, stamp_of

Make = Callable[[Path], Callable[[], None]]
"""Writes features to a file; what it returns tells people what to look at in them."""


def keep(config: Path, out: Path, make: Make, every: float, say: Callable[[str], None]) -> None:
    """Makes `out`, and then looks every so many seconds whether it has to be made anew; returns at Ctrl-C or SIGTERM.

    Files are read again once one is another than before, a database each time: only its rows tell. Where the features would be
    the same the file stays, so that who reads it does not begin anew. Raises what the first making does, and ConfigError where
    another process keeps the same file; later it is said, once for each cause, and the file stays.
    """

    def tell(text: str) -> None:
        with _where_there_is_room():
            say(text)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also where a script has started it to ignore Ctrl-C
    try:
        with _alone(out):
            _keep(config, out, make, every, tell)
    except KeyboardInterrupt:
        tell(f"{_when()} ended; {out} stays as it is")


def _keep(config: Path, out: Path, make: Make, every: float, say: Callable[[str], None]) -> None:
    seen, said = _state(config), ""
    _made(config, out, make, say)
    while True:
        time.sleep(every)
        try:
            now = _state(config)
            if now is None or now != seen or not out.exists():
                _made(config, out, make, say)
            seen, said = now, ""
        except (WattScoreError, OSError) as error:
            if str(error) != said:
                say(f"{_when()} not made, and {out} stays as it is: {error}")
            said = str(error)


def _made(config: Path, out: Path, make: Make, say: Callable[[str], None]) -> None:
    fresh, before = out.with_name(f".{out.name}.next"), _state(config)  # no file of a dataset: its name begins with a dot
    try:
        tell = make(fresh)
        if _state(config) != before:  # of a file that is half written the rows that are there are valid ones
            raise DataError(
                "files changed while features were made of them",
                public="records: files changed while they were read",
                remedy="They are read again; write a new file beside the old one and rename it, and nobody reads half of it.",
            )
        if out.exists() and filecmp.cmp(out, fresh, shallow=False):
            say(f"{_when()} {out}: the same as before")
            return
        fresh.replace(out)
        sync_folder(out.resolve().parent)
        say(f"{_when()} {out}: made")
        with _where_there_is_room():
            tell()
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """No other process keeps `out` meanwhile: of two at once one would put there what the other has half written."""
    name = out.with_name(f".{out.name}.kept")
    handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{out} is kept by another process", remedy="End that one first, or name another --out."
            ) from None
        try:
            yield
        finally:
            name.unlink(missing_ok=True)
    finally:
        os.close(handle)


@contextmanager
def _where_there_is_room() -> Iterator[None]:
    """A log that its disk refuses ends nothing."""
    try:
        yield
    except OSError as error:
        if refused(error) is None:
            raise


def _state(config: Path) -> tuple[Stamp, ...] | None:
    """What tells whether the features would be others; None of a database."""
    source = load_records(config).source
    if source.sql is not None:
        return None
    return stamp_of(config), *(stamp_of(path) for path in source.path)


def _when() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
