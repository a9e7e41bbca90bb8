"""Months: one number, one text, and every way in which files write them.

A month counts from year 0: year * 12 + month - 1. Its text is YYYY-MM.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field

from common.rows.origin import Data, Mask, Origin, is_long
from common.rows.text import is_number, is_text, is_time, plain, read_coded, read_words

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Months = npt.NDArray[np.int32]

TAKEN = (
    "Taken are YYYY-MM, YYYYMM, MM/YYYY, YYYY-MM-DD, YYYYMMDD, also with / or 年 and 月, with a time, Jan 2024, 1 Jan 2024, and"
    " days before or behind months where values tell which; anything else by month_format: a pattern such as '%d/%m/%Y' or"
    " '%b-%y', or excel, excel1904, epoch_s, epoch_ms."
)
ZONE = "Declare zone, such as zone = 'Asia/Shanghai', in which they are {what}; zone = 'UTC' takes them as they stand."

UNIT = (
    "Write them in the unit that their type names, as text if the program does not (fastparquet with times = 'int96' does"
    " not for microseconds); whole numbers are read by month_format: epoch_s or epoch_ms."
)

FIRST, LAST = 1900 * 12, 2199 * 12 + 11
"""Months that can be; databases and programs write 0001-01 and 9999-12 for none."""

_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
_SHORT = "|".join(_NAMES)
_NAME = "|".join(f"{name}(?:[a-qs-z][a-z]*)?" if name == "mar" else f"{name}[a-z]*" for name in _NAMES)  # marraskuu: November
_YEAR, _OF_YEAR, _DAY = r"(?P<y>\d{4})", r"(?P<m>0?[1-9]|1[0-2])", r"(?P<d>0?[1-9]|[12]\d|3[01])"
_TIME = r"(?:[T ]+(?P<t>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)(?P<z>(?: ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?))?"
_FORMS = (
    rf"^{_YEAR}-{_OF_YEAR}(?:-{_DAY}{_TIME})?$",
    rf"^{_YEAR}/{_OF_YEAR}(?:/{_DAY}{_TIME})?$",
    rf"^{_YEAR}\.{_OF_YEAR}\.{_DAY}{_TIME}$",
    rf"^{_YEAR} ?年 ?{_OF_YEAR} ?(?:月份?(?: ?{_DAY} ?[日号]{_TIME})?)?$",
    r"^(?P<y>(?:19|2[01])\d{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])?(?:\.0*)?$",
    rf"^{_YEAR}[Mm]{_OF_YEAR}$",
    rf"^{_OF_YEAR}[/-]{_YEAR}$",
    rf"^(?i){_YEAR}-(?P<n>{_NAME})$",
    rf"^(?i){_DAY}?(?P<n>{_SHORT}){_YEAR}(?:[: ]+(?P<t>\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d+)?)?)(?P<z>))?$",
    rf"^(?i)(?P<n>{_NAME})[ ,.-]+{_YEAR}$",
    rf"^(?i){_DAY}[ -](?P<n>{_NAME})[ ,.-]+{_YEAR}{_TIME}$",
    rf"^(?i)(?P<n>{_NAME}) {_DAY},? {_YEAR}$",
)
_DAYS = {"excel": date(1899, 12, 30), "excel1904": date(1904, 1, 1)}
_SECONDS = {"epoch_s": "s", "epoch_ms": "ms"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_WEEKS_ON = 30 * 86400  # seconds, which as thousandths reach from 1970 to 2052


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write one such as Asia/Shanghai") from None
    return name


def _known_format(text: str) -> str:
    if text not in {*_DAYS, *_SECONDS} and not ("%m" in text or "%b" in text or "%B" in text):
        raise ValueError("a pattern with %Y or %y and %m or %b, or one of excel, excel1904, epoch_s, epoch_ms")
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
MonthFormat = Annotated[str, AfterValidator(_known_format)]


def month_number(text: str) -> int:
    """Months from year 0 of YYYY-MM."""
    return int(text[:4]) * 12 + int(text[5:]) - 1


def month_text(month: int) -> str:
    """YYYY-MM of a month counted from year 0."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


@dataclass(frozen=True)
class Read:
    """Months of n rows: `counted` int32 (n,), 0 where `bad`; `what` was seen, in words without a value."""

    counted: Months
    bad: Mask
    what: str


def read_months(origin: Origin, column: str, data: Data, form: str | None = None, zone: str | None = None) -> Read:
    """The column as months. form: how they are written, where that is not told by them. zone: where instants are months.

    Raises DataError for instants without a zone, for local times that cannot be such, and for another type.
    """
    if not is_long(data, column):
        values = plain(data[column])
        if is_time(values.type) and form is None:
            return Read(*_of_times(origin, column, values, zone))
        if form in _SECONDS and is_number(values.type):
            if pa.types.is_decimal(values.type) or pa.types.is_floating(values.type):
                values = values.cast(pa.float64())
            return Read(*_of_times(origin, column, _instants(values, _SECONDS[form]), zone))
        del values
    codes, texts = read_words(origin, column, data)
    counted, bad, what = _of_texts(origin, column, texts, form, zone)
    return Read(np.append(counted, 0)[codes].astype(np.int32), np.append(bad, True)[codes], what)


def _of_texts(origin: Origin, column: str, texts: Any, form: str | None, zone: str | None) -> tuple[Months, Mask, str]:
    if form is not None:
        return _of_format(origin, column, texts, form, zone)
    texts = pc.replace_substring_regex(pc.utf8_normalize(texts, form="NFKC"), r"""^(?:="|')?([^"]*)"?$""", r"\1")
    parts = _parts(texts)
    if parts.zoned.any() or (parts.clock.any() and _shifted(parts)):
        return _of_moments(
            origin, column, [stamp(t) if good else None for t, good in zip(texts.to_pylist(), parts.good, strict=True)], zone
        )
    if not parts.good.any() and (order := _order(texts)) is not None:
        return _of_format(origin, column, pc.replace_substring_regex(texts, "[.-]", "/"), order, zone)
    return parts.counted, ~parts.good, "as text"


def _of_moments(origin: Origin, column: str, found: list[datetime | None], zone: str | None) -> tuple[Months, Mask, str]:
    """Months of moments, None for what is none: instants where any has a zone, else local times."""
    return _of_times(origin, column, moments(found), zone)


def moments(found: list[datetime | None]) -> Any:
    """A column of moments, None for what is none: instants where any has a zone, else local times."""
    instants = any(moment.tzinfo for moment in found if moment)
    if instants:
        found = [moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) for moment in found]
    return pa.chunked_array([pa.array(found, pa.timestamp("us", "UTC" if instants else None))])


def _order(texts: Any) -> str | None:
    """The order of day and month in 31/01/2024 and the like, where values above 12 tell it."""
    known = pc.drop_null(texts)
    parts = pc.extract_regex(known, r"^(?P<a>\d{1,2})[/.-](?P<b>\d{1,2})[/.-](?P<y>\d{4})$")
    if not len(known) or parts.null_count:
        return None
    first, second = (int(pc.max(parts.field(name).cast(pa.int32())).as_py()) for name in ("a", "b"))
    if max(first, second) > 31 or (first > 12) == (second > 12):
        return None
    return "%d/%m/%Y" if first > 12 else "%m/%d/%Y"


@dataclass(frozen=True)
class _Parts:
    counted: Months
    good: Mask
    clock: Mask
    zoned: Mask
    hours: npt.NDArray[np.object_]


def _parts(texts: Any) -> _Parts:
    """Year and month of each text by the first form it has, and whether a time or a zone stands behind."""
    size = len(texts)
    counted, good = np.zeros(size, np.int32), np.zeros(size, np.bool_)
    clock, zoned, hours = np.zeros(size, np.bool_), np.zeros(size, np.bool_), np.full(size, "", dtype=object)
    for form in _FORMS:
        left = np.flatnonzero(~good)
        if not len(left):
            break
        found = pc.extract_regex(texts.take(pa.array(left)), form)
        hit = np.asarray(found.is_valid())
        at, found = left[hit], found.filter(pa.array(hit))
        if not len(at):
            continue
        names = [field.name for field in found.type]
        month = _named(found.field("n")) if "n" in names else found.field("m").cast(pa.int32()).to_numpy()
        counted[at] = found.field("y").cast(pa.int32()).to_numpy(zero_copy_only=False) * 12 + month - 1
        good[at] = _there_is(found, names, counted[at])
        if "t" in names:
            hours[at] = found.field("t").to_numpy(zero_copy_only=False)
            clock[at] = (hours[at] != "") & good[at]
            zoned[at] = np.asarray(pc.not_equal(found.field("z"), "")) & good[at]
    return _Parts(counted, good, clock, zoned, hours)


def _there_is(found: Any, names: list[str], counted: Months) -> Mask:
    """Whether the month has such a day, where a day is named: 31 June is a slip, and who knows of which part."""
    if "d" not in names:
        return np.ones(len(counted), np.bool_)
    days = pc.if_else(pc.equal(found.field("d"), ""), "1", found.field("d")).cast(pa.int32()).fill_null(1).to_numpy()
    first = (counted - 1970 * 12).astype("datetime64[M]")
    lengths = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return np.asarray(days <= lengths, np.bool_)


def _named(names: Any) -> npt.NDArray[np.int32]:
    short = pc.utf8_slice_codeunits(pc.utf8_lower(names), 0, 3)
    return np.asarray(pc.index_in(short, value_set=pa.array(_NAMES)).to_numpy() + 1, np.int32)


def _shifted(parts: _Parts) -> bool:
    """Whether all of these local times look like midnights of another zone."""
    if parts.clock.sum() != parts.good.sum():
        return False
    hours = [re.split(r"[:.,]", hour) for hour in set(parts.hours[parts.clock].tolist())]
    return _of_two([int(h) * 3600 + int(m) * 60 + (int(s[0]) if s else 0) for h, m, *s in hours])


def _of_two(seconds: Collection[float]) -> bool:
    """Whether times of the day are one that is not midnight, or two an hour apart, as where clocks change.

    Zones differ by quarters of an hour: 23:59:59 is the end of a month, as 24:00 is, not the midnight of another zone.
    """
    low, high = min(seconds, default=0), max(seconds, default=0)
    return low > 0 and low % 900 == 0 and high < 86400 and high - low in (0, 3600) and len(set(seconds)) <= 2


def stamp(text: str) -> datetime | None:
    """A text with a time: an instant where a zone stands behind, else a local time; None where it is neither.

    24:00, by which ISO 8601 and meters write the end of a day, is the last moment of that day.
    """
    text = re.sub(r" ?(UTC|GMT)$", "Z", text.strip()).replace("/", "-").replace(",", ".")
    text = re.sub(r"(\d) +(?=[+-]\d{2})", r"\1", text)
    text = re.sub(r"([+-]\d{2})$", r"\1:00", text) if "T" in text or ":" in text else text
    text = re.sub(r"^(\d{4})-(\d)(?=-)", r"\1-0\2", text)
    text = re.sub(r"^(\d{4}-\d{2})-(\d)(?=\D)", r"\1-0\2", text)
    text = re.sub(r"(?<=[ T])(\d)(?=:)", r"0\1", text)
    text = re.sub(r"(?<=[ T])24:00(:00(\.0+)?)?(?![\d:.])", "23:59:59.999999", text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _of_format(origin: Origin, column: str, texts: Any, form: str, zone: str | None) -> tuple[Months, Mask, str]:
    if form == "%Y.%m" and _tenths(texts):
        said = f"column {column!r} holds months such as 2024.1: January, or October as a number, which has no zero at its end"
        raise origin.fault(said, remedy="Write months as 2024-01, in a column of text.")
    found = [None if text is None else _by_format(text, form) for text in texts.to_pylist()]
    if any(moment is not None and moment.tzinfo for moment in found):
        return _of_moments(origin, column, found, zone)
    counted = [0 if moment is None else moment.year * 12 + moment.month - 1 for moment in found]
    return np.array(counted, np.int32), np.array([moment is None for moment in found], np.bool_), f"by {form}"


def _tenths(texts: Any) -> bool:
    """Whether some of these years and months end in .1, and none in .10 shows that they were not written as numbers."""
    return pc.any(pc.ends_with(texts, ".1")).as_py() is True and pc.any(pc.ends_with(texts, ".10")).as_py() is not True


def _by_format(text: str, form: str) -> datetime | None:
    try:
        if form in _DAYS:
            return datetime.combine(_DAYS[form] + timedelta(days=int(float(text))), time())
        if form in _SECONDS:
            return datetime.fromtimestamp(float(text) / (1000 if form == "epoch_ms" else 1), UTC)
        return datetime.strptime(text, form)
    except (ValueError, OverflowError, OSError):
        return None


def _instants(values: Any, unit: str) -> Any:
    return values.cast(pa.int64(), safe=False).cast(pa.timestamp(unit, "UTC"))


def _of_times(origin: Origin, column: str, values: Any, zone: str | None) -> tuple[Months, Mask, str]:
    """Months of dates, local times or instants."""
    bad, what = np.asarray(values.is_null()), "dates"
    if pa.types.is_timestamp(values.type):
        values, what = local_times(origin, column, values, zone)
    years = pc.year(values).cast(pa.int32()).fill_null(0).to_numpy()
    counted = years * 12 + pc.month(values).cast(pa.int32()).fill_null(1).to_numpy() - 1
    counted[bad] = 0
    return counted.astype(np.int32, copy=False), bad, what


def local_times(origin: Origin, column: str, values: Any, zone: str | None, what: str = "months") -> tuple[Any, str]:
    """Timestamps as local times, and how they came. what: they are taken for.

    Raises DataError for instants, or what must be such, of which no zone is known, and for moments of January 1970 alone.
    """
    kind = values.type
    if _of_another_unit(values):
        said = f"column {column!r} holds no other moments than of January 1970: they were written or read in another unit"
        raise origin.fault(said, remedy=UNIT)
    if kind.tz is not None:
        where = zone or (kind.tz if kind.tz.upper() not in ("UTC", "GMT", "Z", "ETC/UTC", "+00:00") else None)
        if where is None:
            said = f"column {column!r} holds instants, and in which zone they are {what} is not said"
            raise origin.fault(said, remedy=ZONE.format(what=what))
        return pc.local_timestamp(values.cast(pa.timestamp(kind.unit, where))), f"instants, in {where}"
    if _elsewhere(values):
        shifted = (
            None
            if zone is None
            else pc.local_timestamp(values.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit, zone)))
        )
        if shifted is None:
            said = f"column {column!r} holds times of one same hour that is not midnight: {what} of another time zone"
            raise origin.fault(said, remedy=ZONE.format(what=what))
        return shifted, f"instants, in {zone}"
    return values, "local times"


def _of_another_unit(values: Any) -> bool:
    """Whether all moments known are of the first weeks of 1970, as those of today are whose seconds count as thousandths."""
    ends = pc.min_max(values.cast(pa.int64())).as_py()
    return ends["min"] is not None and 0 <= ends["min"] <= ends["max"] < _WEEKS_ON * _PER_SECOND[values.type.unit]


def _elsewhere(values: Any) -> bool:
    """Whether local times all look like midnights of another zone: of one same time that is not midnight, or of two."""
    known = pc.drop_null(values)
    if not len(known):
        return False
    of_day = pc.subtract(known, pc.floor_temporal(known, unit="day")).cast(pa.int64())
    per_second = _PER_SECOND[known.type.unit]
    ends = pc.min_max(of_day).as_py()
    if ends["min"] == 0 or ends["max"] - ends["min"] not in (0, 3600 * per_second):
        return False
    return _of_two([moment / per_second for moment in pc.unique(of_day).to_pylist()])


def look_like_months(values: Any) -> bool:
    """Whether all known values (numbers as float64, or an Arrow array of text) are months or dates."""
    if isinstance(values, np.ndarray):
        whole = values[:1000]
        if not ((whole == np.floor(whole)) & (whole >= 190001) & (whole <= 219912)).all():
            return False
        return bool(((values >= 190001) & (values <= 219912) & (values % 100 >= 1) & (values % 100 <= 12)).all())
    known = pc.drop_null(values)
    return len(known) > 0 and bool(_parts(pc.utf8_normalize(known, form="NFKC")).good.all())


def days_of(origin: Origin, column: str, data: Data) -> npt.NDArray[np.float64]:
    """Days from 1970 of a column of dates, times or months; 0 where another is known; NaN where nothing is: (n,)."""
    values = plain(data[column])
    if is_time(values.type):
        days = values.cast(pa.timestamp("s", getattr(values.type, "tz", None)), safe=False).cast(pa.int64())
        return np.floor(np.asarray(days.cast(pa.float64()).to_numpy(), np.float64) / 86400)
    if not (is_number(values.type) or is_text(values.type)):
        return np.where(np.asarray(values.is_null()), np.nan, 0.0)
    codes, texts = read_coded(origin, column, data)
    parts = _parts(pc.utf8_normalize(texts, form="NFKC"))
    months = (parts.counted - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.float64)
    known = np.where(parts.good, months, np.where(np.asarray(texts.is_null()), np.nan, 0.0))
    return np.asarray(np.append(known, np.nan)[codes])


def look_like_dates(values: npt.NDArray[np.float64]) -> bool:
    """Whether numbers are all of the form YYYYMMDD."""
    if not ((values == np.floor(values)) & (values >= 19000101) & (values <= 21991231)).all():
        return False
    of_year, day = values // 100 % 100, values % 100
    return bool(((of_year >= 1) & (of_year <= 12) & (day >= 1) & (day <= 31)).all()) and len(np.unique(values)) > 12
