"""Columns of one name in many files, joined by what they mean where their types differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.rows.floats import floats
from common.rows.numbers import WORDS
from common.rows.origin import Origin
from common.rows.text import as_text, is_missing, is_number, is_text, is_time, plain

_TRUE, _FALSE = {yes for _, yes in WORDS}, {no for no, _ in WORDS}


def joined(origin: Origin, column: str, parts: Sequence[Any], which: Callable[[int], str]) -> Any:
    """One chunked array of all parts. which: names the file of a part. Raises DataError for what cannot be one column."""
    kinds = {part.type for part in parts if not pa.types.is_null(_value(part.type))}
    if len(kinds) == 1:
        (kind,) = kinds
        return _chunks([part if part.type == kind else plain(part).cast(_value(kind)) for part in parts], kind)
    parts = [_as_words(origin, column, plain(part)) for part in parts]
    types = [part.type for part in parts]
    if all(is_number(kind) or is_text(kind) for kind in types):
        return _values(origin, column, parts)
    if all(is_time(kind) or is_text(kind) for kind in types):
        return _times(origin, column, parts, which)
    first = next(k for k, kind in enumerate(types) if kind != types[0])
    what = f"column {column!r} is {types[0]} in one file and {types[first]} in another"
    local = f"column {column!r} is {types[0]} in {which(0)} and {types[first]} in {which(first)}"
    raise origin.fault(what, local=local, remedy="Write it as one type, or as text.")


def _as_words(origin: Origin, column: str, part: Any) -> Any:
    return as_text(origin, column, part) if is_text(part.type) else part


def _value(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _chunks(parts: Sequence[Any], kind: Any = None) -> Any:
    if kind is not None and any(part.type != kind for part in parts):
        parts = [plain(part) for part in parts]
    chunks = [chunk for part in parts for chunk in part.chunks]
    return pa.chunked_array(chunks, parts[0].type)


def _values(origin: Origin, column: str, parts: Sequence[Any]) -> Any:
    """Numbers of several types, and text. What a float may not hold is joined as the text that prints it."""
    kinds = [part.type for part in parts]
    if all(pa.types.is_boolean(k) or (pa.types.is_integer(k) and k != pa.uint64()) for k in kinds):
        return _chunks([_small(part).cast(pa.int64()) for part in parts])
    if all(pa.types.is_floating(k) for k in kinds):
        return pa.chunked_array([pa.array(floats(part), from_pandas=True) for part in parts], pa.float64())
    truth = [part for part in parts if is_text(part.type) and _speaks_of_truth(part)]
    parts = [_truth(part) if any(part is other for other in truth) else _printed(part) for part in parts]
    return _chunks([as_text(origin, column, part) for part in parts])


def _small(part: Any) -> Any:
    return part.cast(pa.int8()) if pa.types.is_boolean(part.type) else part


def _printed(part: Any) -> Any:
    if pa.types.is_boolean(part.type):
        return part.cast(pa.int8())
    if pa.types.is_floating(part.type) and part.type != pa.float64():
        return pa.chunked_array([pa.array(floats(part), from_pandas=True)])
    return part


def _speaks_of_truth(part: Any) -> bool:
    """Whether a file that holds text writes true and false where others have 1 and 0."""
    found = {str(text).lower() for text in part.filter(pc.invert(is_missing(part))).unique().to_pylist()[:64]}
    return bool(found) and found <= _TRUE | _FALSE


def _truth(part: Any) -> Any:
    """Words of truth as 1 and 0, missing ones as null."""
    low = pc.utf8_lower(part)
    yes, no = (pc.is_in(low, value_set=pa.array(sorted(words))) for words in (_TRUE, _FALSE))
    return pc.if_else(yes, 1, pc.if_else(no, 0, None)).cast(pa.int8())


def _times(origin: Origin, column: str, parts: Sequence[Any], which: Callable[[int], str]) -> Any:
    if any(is_text(part.type) for part in parts):
        return _chunks([_iso(part) for part in parts])
    zoned = [pa.types.is_timestamp(part.type) and part.type.tz is not None for part in parts]
    if any(zoned) and not all(zoned):
        one, other = zoned.index(True), zoned.index(False)
        what = f"column {column!r} holds instants in one file and local times or dates in another"
        local = f"column {column!r} holds instants in {which(one)} and local times or dates in {which(other)}"
        raise origin.fault(what, local=local, remedy="Write all as dates.")
    return _chunks([part.cast(pa.timestamp("us", "UTC" if zoned[0] else None)) for part in parts])


def _iso(part: Any) -> Any:
    """Dates as YYYY-MM-DD; times as text that keeps whether a zone stands behind."""
    if is_text(part.type):
        return part.cast(pa.string())
    if pa.types.is_date(part.type):
        return part.cast(pa.date32()).cast(pa.string())
    zoned = part.type.tz is not None
    seconds = part.cast(pa.timestamp("s", "UTC" if zoned else None), safe=False)
    return pc.strftime(seconds, "%Y-%m-%dT%H:%M:%S" + ("Z" if zoned else ""))
