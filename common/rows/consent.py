"""The table of enterprises that have agreed to the joint use of their rows, with dates: nobody else's rows enter a job."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from common.disk.scratch import Scratch
from common.errors import DataError, PolicyError
from common.rows.dataset import Loaded, read_own_ids
from common.rows.formats.options import FileOptions
from common.rows.formats.paths import parts_of
from common.rows.months import Zone, local_times, moments, stamp
from common.rows.origin import Data, Mask
from common.rows.tablefile import TableFile
from common.rows.text import is_time, plain, read_coded

_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?([ T].*)?|(\d{4})(\d{2})(\d{2})")
_EVER, _NEVER = date.min.toordinal(), date.max.toordinal()


class ConsentConfig(FileOptions):
    """Where the table of authorisations of a dataset is. A row is one of an enterprise's; any that is in force will do."""

    path: Path = Field(description="The file: CSV, Parquet or Excel, one row an authorisation. It is read at each job.")
    id: str = Field(description="The column of enterprise ids.")
    since: str | None = Field(default=None, description="The column of first days; empty: from ever. Absent: all are.")
    until: str | None = Field(
        default=None, description="The column of last days; empty: until it is withdrawn. Absent: all are."
    )
    zone: Zone | None = Field(
        default=None, description="The time zone in which instants are days, such as Asia/Shanghai; required where there are."
    )


class Consents:
    """The authorisations of one dataset, for one job: who is in it, and whether all of these still agree.

    today: by the calendar of this machine's time zone.
    """

    def __init__(self, config: ConsentConfig, dataset: str, today: Callable[[], date] = date.today) -> None:
        self._config, self._dataset, self._today = config, dataset, today
        self._used: pa.StringArray = pa.array([], pa.string())
        self._seen: tuple[object, ...] = ()
        self._last: tuple[tuple[object, ...], pa.StringArray] | None = None  # who agreed when the table was last read

    def apply(self, loaded: Loaded, scratch: Scratch) -> Loaded:
        """Only the rows of enterprises whose authorisation is in force today; how many were left out is told to their owner.

        Raises DataError for a table that cannot be read, or where no enterprise has agreed.
        """
        ids, table, self._seen = loaded.table.ids, loaded.table, self._state()
        agreed = np.asarray(pc.is_in(ids.levels, value_set=self._in_force()))
        keep, used = agreed[ids.codes], ids.used()
        if not keep.any():
            public = f"dataset {self._dataset}: no enterprise in it has agreed to this use"
            raise DataError(f"{self._config.path}: {public}", public=public, remedy="See the dates of the authorisations.")
        self._used = ids.levels.take(pa.array(used[agreed[used]]))
        left = int(np.count_nonzero(~agreed[used]))
        if not left:
            return loaded
        rows = int(np.count_nonzero(~keep))
        said = (
            f"{self._config.path}: {left:,} of {len(used):,} enterprises ({left / len(used):.1%}) have no authorisation in"
            f" force on {self._today()}: {rows:,} of {len(keep):,} rows are left out"
        )
        aside = {name: values[keep] for name, values in loaded.aside.items()}
        kept = table.move(np.flatnonzero(keep), scratch)
        return replace(loaded, table=kept, warnings=(*loaded.warnings, said), aside=aside)

    def join(self, ids: pa.StringArray) -> None:
        """Takes further enterprises into the job. Raises PolicyError where one has not agreed, DataError as `apply`."""
        if self._last is None or self._last[0] != self._state():
            self._last = (self._state(), self._in_force())
        if not pc.all(pc.is_in(ids, value_set=self._last[1])).as_py():
            raise PolicyError(
                f"dataset {self._dataset}: an enterprise has no authorisation in force on {self._today()}",
                remedy="See the dates of the authorisations.",
            )
        self._used = pc.unique(pa.concat_arrays([self._used, ids.cast(self._used.type)]))

    def count(self) -> int:
        """How many enterprises agree today. Raises DataError where the table cannot be read."""
        return len(self._in_force())

    def fingerprint(self) -> str:
        """The SHA-256 of who is in the job, once `apply` has said."""
        return hashlib.sha256("\n".join(sorted(self._used.to_pylist())).encode()).hexdigest()

    def withdrawn(self) -> bool:
        """Whether an enterprise of this job has agreed no longer. Raises DataError where the table cannot be read any more."""
        state = self._state()
        if state == self._seen:
            return False
        gone = not pc.all(pc.is_in(self._used, value_set=self._in_force())).as_py() if len(self._used) else False
        self._seen = state
        return gone

    def _state(self) -> tuple[object, ...]:
        """What tells a table that was replaced, and a day that has begun."""
        found = [part.path.stat() for part in parts_of([self._config.path])]
        return self._today(), *((status.st_ino, status.st_size, status.st_mtime_ns) for status in found)

    def _in_force(self) -> pa.StringArray:
        """The ids, in the form in which they are compared, whose authorisation is in force today."""
        config = self._config
        file = TableFile.open(config.path, config, f"authorisations of dataset {self._dataset}")
        wanted = [name for name in (config.id, config.since, config.until) if name is not None]
        file.require(wanted)
        data = file.read(wanted)
        ids, today = read_own_ids(file, config.id, data, []), self._today().toordinal()
        good = np.ones(len(ids), np.bool_)
        if config.since is not None:
            good &= _days(file, config.since, data, _EVER, config.zone) <= today
        if config.until is not None:
            good &= _days(file, config.until, data, _NEVER, config.zone) >= today
        return pc.unique(ids.levels.take(pa.array(ids.codes[good])))


def _days(file: TableFile, column: str, data: Data, empty: int, zone: str | None) -> npt.NDArray[np.int64]:
    """Ordinals of a column of days, (n,); `empty` where there is none. zone: where instants are days.

    Raises DataError that names a row with another text, and for instants without a zone: in UTC a midnight may be yesterday's.
    """
    values = plain(data[column])
    if is_time(values.type):
        return _ordinals(file, column, values, empty, zone)
    codes, texts = read_coded(file, column, data)
    levels = [None if text is None else _day(text) for text in texts.to_pylist()]
    days = np.array([*(-1 if day is None else day[0] for day in levels), empty], np.int64)
    days[:-1][np.asarray(texts.is_null())] = empty
    timed = [place for place, day in enumerate(levels) if day is not None and day[1]]
    if timed:
        days[timed] = _ordinals(file, column, moments([_moment(texts[place].as_py()) for place in timed]), -1, zone)
    bad: Mask = days[codes] == -1
    if bad.any():
        raise file.bad_rows(column, bad, "not a day", "Write it as 2026-01-31.", data[column])
    return days[codes]


def _ordinals(file: TableFile, column: str, values: Any, empty: int, zone: str | None) -> npt.NDArray[np.int64]:
    if pa.types.is_timestamp(values.type):
        values, _ = local_times(file, column, values, zone, "days")
    return np.array([empty if value is None else value.toordinal() for value in values.to_pylist()], np.int64)


def _moment(text: str) -> datetime | None:
    """A day with a time behind it, however its parts are set apart; None where the time is none."""
    found = _DATE.fullmatch(text)
    assert found is not None  # noqa: S101  (`_day` has read it)
    year, month, day, clock = found.groups()[:4]
    return stamp(f"{year}-{month:0>2}-{day:0>2}{clock}")


def _day(text: str) -> tuple[int, bool] | None:
    """The ordinal of a day, and whether a time stands behind it; None where it is none."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    *plain_day, clock, year, month, day = found.groups()
    try:
        return date(*(int(part) for part in ((year, month, day) if year else plain_day))).toordinal(), clock is not None
    except ValueError:
        return None
