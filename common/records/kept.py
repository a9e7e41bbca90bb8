"""`wattscore features --watch`: a file of features made anew whenever what it is made of is another, for as long as it runs."""

from __future__ import annotations

import filecmp
import signal
import time
from collections.abc import Callable
from pathlib import Path

from common.disk.files import sync_folder
from common.errors import WattScoreError
from common.records.config import load_records
from common.rows.formats.paths import Stamp, stamp_of

Make = Callable[[Path], Callable[[], None]]
"""Writes features to a file; what it returns tells people what to look at in them."""


def keep(config: Path, out: Path, make: Make, every: float, say: Callable[[str], None]) -> None:
    """Makes `out`, and then looks every so many seconds whether it has to be made anew, until Ctrl-C or SIGTERM.

    Files are read again once one is another than before, a database each time: only its rows tell. Where the features would be
    the same the file stays, so that who reads it does not begin anew. Raises what the first making does; later it is said, once
    for each cause, and the file stays.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    seen, said = _state(config), ""
    _made(out, make, say)
    while True:
        time.sleep(every)
        try:
            now = _state(config)
            if now is None or now != seen:
                _made(out, make, say)
            seen, said = now, ""
        except (WattScoreError, OSError) as error:
            if str(error) != said:
                say(f"{_when()} not made, and {out} stays as it is: {error}")
            said = str(error)


def _made(out: Path, make: Make, say: Callable[[str], None]) -> None:
    fresh = out.with_name(f".{out.name}.next")  # no file of a dataset: its name begins with a dot
    try:
        tell = make(fresh)
        if out.exists() and filecmp.cmp(out, fresh, shallow=False):
            say(f"{_when()} {out}: the same as before")
            return
        fresh.replace(out)
        sync_folder(out.resolve().parent)
        say(f"{_when()} {out}: made")
        tell()
    finally:
        fresh.unlink(missing_ok=True)


def _state(config: Path) -> tuple[Stamp, ...] | None:
    """What tells whether the features would be others; None of a database."""
    source = load_records(config).source
    if source.sql is not None:
        return None
    return stamp_of(config), *(stamp_of(path) for path in source.path)


def _when() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
